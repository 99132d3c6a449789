"""Let BatchNorm's running statistics move as slowly as the weights do."""

import lightning as L
from torch.nn.modules.batchnorm import _BatchNorm

from seg.errors import ConfigError


class BatchNormMomentum(L.Callback):
    """Scale the momentum of BatchNorm to the accumulation length.

    With gradients accumulated over N batches, the running statistics move N times for each step of the optimiser. With
    a momentum of 1 - (1 - m)^(1/N) a batch, they take over a share of m a step, as with one batch of N images. Where N
    grows during the run, the momentum follows from the next batch on.

    Args:
        momentum: Share of the running statistics that a whole step replaces, above 0 and at most 1.

    Raises:
        ConfigError: The share is out of range.

    Example:
        Trainer(accumulate_grad_batches=8, callbacks=[BatchNormMomentum()])
    """

    def __init__(self, momentum: float = 0.1) -> None:
        if not 0 < momentum <= 1:
            raise ConfigError(f"batch norm momentum is {momentum}; wanted above 0 and at most 1")
        self.momentum = momentum
        self._length = 0

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Set the momentum of every norm; a resumed run does so again."""
        self._set(pl_module, _batches_of_step(trainer))

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: object, batch_idx: int
    ) -> None:
        """Set it anew if the length has changed."""
        if _batches_of_step(trainer) != self._length:
            self._set(pl_module, _batches_of_step(trainer))

    def _set(self, pl_module: L.LightningModule, length: int) -> None:
        self._length = length
        scaled = 1 - (1 - self.momentum) ** (1 / length)
        for layer in pl_module.modules():
            if isinstance(layer, _BatchNorm):
                layer.momentum = scaled


def _batches_of_step(trainer: L.Trainer) -> int:
    """Those of all processes together."""
    return trainer.accumulate_grad_batches * trainer.world_size
