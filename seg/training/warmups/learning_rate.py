"""Warm-up of the learning rate."""

from collections.abc import Mapping, Sequence
from typing import Any

import lightning as L

from seg.errors import ConfigError
from seg.training.progress import Ramp, Shape, epochs_passed
from seg.training.schedule import schedule_of

KEY = "warmup"
DEFAULT_STEPS = 100


class WarmupLearningRate(L.Callback):
    """Raise the learning rate from a fraction of the scheduled rate to the full rate.

    The schedule multiplies its rate by this callback's factor. The factor depends on the trainer's step or epoch, so a
    resumed run continues exactly.

    Args:
        steps: Optimiser steps until the factor is 1; 0 for no warm-up. If neither steps nor epochs is set, the length
            is 100 steps.
        epochs: Epochs until the factor is 1; may be a fraction. Set either steps or epochs.
        start_factor: Factor at the first step, above 0 and at most 1; or a list with one factor per parameter group of
            the optimiser: decayed weights, then norms and biases.
        shape: Shape of the rise: a straight line or half a cosine.

    Raises:
        ConfigError: An argument is out of range.

    Example:
        Trainer(callbacks=[WarmupLearningRate(steps=100)])
    """

    def __init__(
        self,
        *,
        steps: int | None = None,
        epochs: float | None = None,
        start_factor: float | list[float] = 0.01,
        shape: Shape = "linear",
    ) -> None:
        self.start_factors = list(start_factor) if isinstance(start_factor, Sequence) else [start_factor]
        negative = (steps or 0) < 0 or (epochs or 0) < 0
        if negative or not self.start_factors or not all(0 < factor <= 1 for factor in self.start_factors):
            length = f"epochs={epochs}" if steps is None and epochs is not None else f"steps={steps}"
            raise ConfigError(
                f"{KEY} has {length}, start_factor={start_factor}; wanted steps or epochs >= 0, "
                "and 0 < start_factor <= 1"
            )
        self.ramp = Ramp(KEY, DEFAULT_STEPS if steps is None and epochs is None else steps, epochs, shape)
        self._epoch = 0.0

    def factor(self, step: int, epoch: float = 0.0, group: int = 0) -> float:
        """Factor of a parameter group at an optimiser step and a number of passed epochs, all counted from 0."""
        start = self.start_factors[min(group, len(self.start_factors) - 1)]
        return start + (1 - start) * self.ramp.progress(step, epoch)

    def rate_factor(self, step: int, group: Mapping[str, Any], index: int) -> float:
        """Factor that the schedule multiplies its rate by."""
        return self.factor(step, self._epoch, index)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Add the factor to the schedule.

        Raises:
            ConfigError: The number of factors differs from the number of parameter groups.
        """
        groups = max((len(optimizer.param_groups) for optimizer in trainer.optimizers), default=0)
        if len(self.start_factors) not in (1, groups):
            raise ConfigError(
                f"{KEY}.start_factor has {len(self.start_factors)} factors, but the optimiser has {groups} parameter "
                "groups; wanted one factor, or one for each group"
            )
        if self.ramp.active:
            schedule_of(trainer).factors[KEY] = self.rate_factor

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: object, batch_idx: int
    ) -> None:
        """Set the rate for this batch's position in the epoch."""
        if self.ramp.active and self.ramp.epochs:
            self._epoch = epochs_passed(trainer, batch_idx)
            schedule_of(trainer).refresh()

    def state_dict(self) -> dict[str, Any]:
        """Number of epochs passed at the start of the last batch."""
        return {"epoch": self._epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the number of epochs passed."""
        self._epoch = state_dict["epoch"]
