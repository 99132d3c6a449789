"""Start training with cross-entropy alone."""

from typing import Any, Protocol, cast

import lightning as L

from seg.errors import ConfigError
from seg.training.warmups.ramp import Ramp, Shape, place_in_epochs

FIRST = "bce"
"""The term that has its whole weight from the start."""


class Mixture(Protocol):
    """A loss of several terms.

    Attributes:
        weights: The weight of each term by its name, read at each call of the loss.
    """

    weights: dict[str, float]


class WarmupLoss(L.Callback):
    """Let the weights of all terms of the loss but cross-entropy grow from 0 to those of the configuration.

    Overlap losses such as Dice say little while the network is still random. Validation always uses the final weights,
    so that its loss can be compared over epochs. The position follows the trainer's, so a resumed run goes on where it
    was.

    Args:
        steps: Optimiser steps until the weights are those of the configuration; null or 0 for no warm-up.
        epochs: Epochs until then, instead of steps; parts of one count too.
        shape: How the weights rise: a straight line or half a cosine.

    Raises:
        ConfigError: An argument is out of range.

    Example:
        Trainer(callbacks=[WarmupLoss(epochs=5, shape="cosine")])
    """

    def __init__(self, *, steps: int | None = None, epochs: float | None = None, shape: Shape = "linear") -> None:
        self.ramp = Ramp("warmup_loss", steps, epochs, shape)
        self._final: dict[str, float] = {}
        self._progress = 1.0

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Note the weights of the configuration.

        Raises:
            ConfigError: Cross-entropy has no weight, so that there is nothing to start with.
        """
        if stage != "fit" or not self.ramp.wanted:
            return
        self._final = dict(_mixture(pl_module).weights)
        if not self._final.get(FIRST, 0.0) > 0:
            raise ConfigError(
                f"warmup_loss starts with cross-entropy alone, but model.loss.{FIRST} is {self._final.get(FIRST, 0.0)};"
                " give it a weight above 0, or leave warmup_loss out"
            )

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: object, batch_idx: int
    ) -> None:
        """Set the weights of this batch."""
        if self._final:
            self._progress = self.ramp.progress(trainer.global_step, place_in_epochs(trainer, batch_idx))
            self._set(pl_module, self._progress)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Score with the final weights."""
        self._set(pl_module, 1.0)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Go on with those of training."""
        self._set(pl_module, self._progress)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Leave the final weights."""
        self._set(pl_module, 1.0)

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Leave the final weights."""
        self._set(pl_module, 1.0)

    def state_dict(self) -> dict[str, Any]:
        """How far the weights are, from 0 to 1."""
        return {"progress": self._progress}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""
        self._progress = state_dict["progress"]

    def _set(self, pl_module: L.LightningModule, progress: float) -> None:
        for name, weight in self._final.items():
            _mixture(pl_module).weights[name] = weight if name == FIRST else weight * progress


def _mixture(pl_module: L.LightningModule) -> Mixture:
    return cast(Mixture, pl_module.loss)
