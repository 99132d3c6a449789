"""How far a warm-up is."""

import math
from dataclasses import dataclass
from typing import Literal

import lightning as L

from seg.errors import ConfigError

Shape = Literal["linear", "cosine"]


@dataclass(frozen=True)
class Ramp:
    """A rise from 0 to 1 over the first optimiser steps or epochs of a run; without a length it is at 1 from the start.

    Attributes:
        key: What the warm-up is called on the command line, for messages.
        steps: Optimiser steps until it is over, or None.
        epochs: Epochs until it is over, or None.
        shape: A straight line or half a cosine.

    Raises:
        ConfigError: Both lengths are given, or one is negative.
    """

    key: str
    steps: int | None
    epochs: float | None
    shape: Shape = "linear"

    def __post_init__(self) -> None:
        if self.steps is not None and self.epochs is not None:
            raise ConfigError(f"{self.key} has steps={self.steps} and epochs={self.epochs}; wanted one of them")
        for name, length in (("steps", self.steps), ("epochs", self.epochs)):
            if length is not None and not 0 <= length < math.inf:
                raise ConfigError(f"{self.key} has {name}={length}; wanted {name} >= 0")

    @property
    def wanted(self) -> bool:
        """Whether there is anything to warm up."""
        return bool(self.steps or self.epochs)

    def progress(self, step: int, epoch: float) -> float:
        """From 0 to 1, at an optimiser step and a place in epochs, both counted from 0."""
        position, length = (step, self.steps) if self.steps is not None else (epoch, self.epochs)
        if not length or position >= length:
            return 1.0
        progress = position / length
        return (1 - math.cos(math.pi * progress)) / 2 if self.shape == "cosine" else progress


def place_in_epochs(trainer: L.Trainer, batch_idx: int) -> float:
    """How many epochs a run has behind it when a batch, counted from 0 in its epoch, begins."""
    batches = trainer.num_training_batches
    return trainer.current_epoch + (min(batch_idx / batches, 1.0) if batches else 0.0)
