"""Let BatchNorm's running statistics move as slowly as the weights do."""

import lightning as L
from torch.nn.modules.batchnorm import _BatchNorm

from seg.errors import ConfigError


class BatchNormMomentum(L.Callback):
    """Scale the momentum of BatchNorm to the accumulation length.

    With gradients accumulated over N batches, the running statistics move N times for each step of the optimiser. With
    a momentum of 1 - (1 - m)^(1/N) a batch, they take over a share of m a step, as with one batch of N images.

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

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Set the momentum of every norm; a resumed run does so again."""
        scaled = 1 - (1 - self.momentum) ** (1 / trainer.accumulate_grad_batches)
        for layer in pl_module.modules():
            if isinstance(layer, _BatchNorm):
                layer.momentum = scaled
