"""Warm-up of the loss, which starts with cross-entropy only."""

from typing import Any, cast

import lightning as L

from seg.errors import ConfigError
from seg.losses.mixture import CroplandLoss
from seg.training.progress import Ramp, Shape, epochs_passed

KEY = "warmup_loss"
FIRST = "bce"
"""Name of the loss term that has its full weight from the start."""


class WarmupLoss(L.Callback):
    """Increase the weights of all loss terms except cross-entropy from 0 to their configured values.

    Overlap losses such as Dice give weak gradients while the network is still random. Validation always uses the final
    weights, so that its loss can be compared between epochs. The weights depend on the trainer's step or epoch, so a
    resumed run continues exactly.

    Args:
        steps: Optimiser steps until the weights have their configured values; null or 0 for no warm-up.
        epochs: Epochs until the weights have their configured values; may be a fraction. Set either steps or epochs.
        shape: Shape of the rise: a straight line or half a cosine.

    Raises:
        ConfigError: An argument is out of range.

    Example:
        Trainer(callbacks=[WarmupLoss(epochs=5, shape="cosine")])
    """

    def __init__(self, *, steps: int | None = None, epochs: float | None = None, shape: Shape = "linear") -> None:
        self.ramp = Ramp(KEY, steps, epochs, shape)
        self._final: dict[str, float] = {}
        self._progress = 1.0

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Store the configured weights.

        Raises:
            ConfigError: Cross-entropy has the weight 0, but it is the only term at the start.
        """
        if stage != "fit" or not self.ramp.active:
            return
        self._final = dict(_mixture(pl_module).weights)
        if not self._final.get(FIRST, 0.0) > 0:
            raise ConfigError(
                f"{KEY} starts with cross-entropy only, but model.loss.{FIRST} is {self._final.get(FIRST, 0.0)};"
                f" give it a weight above 0, or leave {KEY} out"
            )

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: object, batch_idx: int
    ) -> None:
        """Set the weights of this batch."""
        if self._final:
            self._progress = self.ramp.progress(trainer.global_step, epochs_passed(trainer, batch_idx))
            self._set(pl_module, self._progress)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Validate with the final weights."""
        self._set(pl_module, 1.0)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Restore the weights of training."""
        self._set(pl_module, self._progress)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Restore the final weights."""
        self._set(pl_module, 1.0)

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Restore the final weights."""
        self._set(pl_module, 1.0)

    def state_dict(self) -> dict[str, Any]:
        """Progress of the weights, 0 to 1."""
        return {"progress": self._progress}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the progress."""
        self._progress = state_dict["progress"]

    def _set(self, pl_module: L.LightningModule, progress: float) -> None:
        for name, weight in self._final.items():
            _mixture(pl_module).weights[name] = weight if name == FIRST else weight * progress


def _mixture(pl_module: L.LightningModule) -> CroplandLoss:
    return cast(CroplandLoss, pl_module.loss)
