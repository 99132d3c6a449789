"""Let the weights adapt to the statistics that evaluation uses."""

import lightning as L
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from seg.errors import ConfigError


class FreezeBatchNorm(L.Callback):
    """From a share of the epochs on, train with BatchNorm's running statistics instead of each batch's own.

    With one chip a batch, training normalises a chip by itself, which takes away how bright it is among the others;
    evaluation normalises by the running statistics. Without a phase in which both do the same, the scores jump from
    epoch to epoch. Scale and shift of the norms go on training. The position follows the trainer's epoch, so a resumed
    run goes on where it was.

    Args:
        after: Share of the epochs, 0 to 1, before the statistics are frozen; 1 never freezes them.

    Raises:
        ConfigError: The share is out of range, or the trainer has no number of epochs to take it of.

    Example:
        Trainer(max_epochs=60, callbacks=[FreezeBatchNorm(after=0.5)])
    """

    def __init__(self, after: float = 1.0) -> None:
        if not 0 <= after <= 1:
            raise ConfigError(f"batch norm is frozen after={after}; wanted a share of the epochs, 0 to 1")
        self.after = after

    def frozen(self, epoch: int, epochs: int) -> bool:
        """Whether an epoch, counted from 0, trains with running statistics."""
        return self.after < 1 and epoch >= self.after * epochs

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Set the norms' mode also where a run goes on in the middle of an epoch."""
        self.on_train_epoch_start(trainer, pl_module)

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Set the norms' mode; validation puts back what it finds, so once an epoch is enough."""
        if self.after == 1:
            return
        if trainer.max_epochs is None or trainer.max_epochs < 1:
            raise ConfigError(
                f"batch norm is to be frozen after {self.after} of the epochs, but trainer.max_epochs is "
                f"{trainer.max_epochs}; set it, or set batch_norm.after to 1"
            )
        if self.frozen(trainer.current_epoch, trainer.max_epochs):
            _use_running_statistics(pl_module)


def _use_running_statistics(module: nn.Module) -> None:
    for layer in module.modules():
        if isinstance(layer, _BatchNorm):
            layer.eval()
