"""Progress of a training: state of Lightning's Trainer, and ramps of warm-ups."""

import math
from dataclasses import dataclass
from typing import Literal

import lightning as L
from lightning.pytorch.callbacks import Callback

from seg.errors import ConfigError

Shape = Literal["linear", "cosine"]


def is_trial(trainer: L.Trainer) -> bool:
    """True if `fast_dev_run` is set; such a trial must not write files."""
    return bool(getattr(trainer, "fast_dev_run", False))  # not declared by Lightning


def is_last_validation(trainer: L.Trainer) -> bool:
    """True if the current epoch is the last one, or the last step is done."""
    epochs, steps = trainer.max_epochs or -1, trainer.max_steps
    last_epoch = 0 < epochs <= trainer.current_epoch + 1
    return trainer.should_stop or last_epoch or 0 < steps <= trainer.global_step


def ends_epoch(trainer: L.Trainer, batch_idx: int) -> bool:
    """True if a training batch, counted from 0 in its epoch, is the last one of the epoch."""
    return trainer.is_last_batch or batch_idx + 1 >= trainer.num_training_batches


def epochs_passed(trainer: L.Trainer, batch_idx: int) -> float:
    """Epochs from the start of the run to the start of a batch; 2.5 is halfway through the third epoch."""
    batches = trainer.num_training_batches
    return trainer.current_epoch + (min(batch_idx / batches, 1.0) if batches else 0.0)


def callbacks_of(trainer: L.Trainer) -> list[Callback]:
    """Callbacks of a trainer in calling order."""
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # set by a connector
    return callbacks


@dataclass(frozen=True)
class Ramp:
    """Rise from 0 to 1 over the first optimiser steps or epochs of a run; always 1 if no length is set.

    Attributes:
        key: Key of the warm-up on the command line, for messages.
        steps: Length in optimiser steps, or None.
        epochs: Length in epochs, or None.
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
            raise ConfigError(f"{self.key} has steps={self.steps} and epochs={self.epochs}; give only one of them")
        for name, length in (("steps", self.steps), ("epochs", self.epochs)):
            if length is not None and not 0 <= length < math.inf:
                raise ConfigError(f"{self.key} has {name}={length}; wanted {name} >= 0")

    @property
    def active(self) -> bool:
        """True if the warm-up has a length."""
        return bool(self.steps or self.epochs)

    def progress(self, step: int, epoch: float) -> float:
        """Progress, 0 to 1, at an optimiser step and a number of passed epochs, both counted from 0."""
        position, length = (step, self.steps) if self.steps is not None else (epoch, self.epochs)
        if not length or position >= length:
            return 1.0
        progress = position / length
        return (1 - math.cos(math.pi * progress)) / 2 if self.shape == "cosine" else progress
