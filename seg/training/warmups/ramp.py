"""Progress of a warm-up."""

import math
from dataclasses import dataclass
from typing import Literal

from seg.errors import ConfigError

Shape = Literal["linear", "cosine"]


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
