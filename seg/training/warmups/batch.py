"""Warm-up of the batch size by gradient accumulation over a growing number of batches."""

import math
from collections.abc import Mapping
from typing import Any, Literal

import lightning as L

from seg.errors import ConfigError
from seg.training.progress import Ramp
from seg.training.schedule import schedule_of

KEY = "warmup_batch"


class WarmupBatch(L.Callback):
    """Increase the number of batches accumulated for an optimiser step from 1 to its final value.

    The batches of an optimiser step form a group. The group length changes only at the start of a group, and only if
    the number of earlier batches in the epoch is a multiple of the new length. Lightning counts groups from the start
    of the epoch, which makes the second condition necessary. The task weights the batches of a group, and the task's
    schedule takes the growth of the groups into account.

    Args:
        steps: Optimiser steps until the final group length; null or 0 for no warm-up.
        epochs: Epochs until the final group length; set either steps or epochs.
        final: The final group length; null for trainer.accumulate_grad_batches.
        growth: linear adds one batch at even intervals; doubling doubles the group length at even intervals.
        learning_rate: Factor of the learning rate while the group grows. constant: 1. linear: the group length divided
            by the final length. sqrt: the square root of that ratio.

    Raises:
        ConfigError: An argument is out of range.

    Example:
        Trainer(accumulate_grad_batches=8, callbacks=[WarmupBatch(epochs=4)])
    """

    def __init__(
        self,
        *,
        steps: int | None = None,
        epochs: int | None = None,
        final: int | None = None,
        growth: Literal["linear", "doubling"] = "linear",
        learning_rate: Literal["constant", "linear", "sqrt"] = "constant",
    ) -> None:
        self.ramp = Ramp(KEY, steps, epochs)
        if final is not None and (final < 1 or not self.ramp.active):
            raise ConfigError(
                f"{KEY} has final={final}, steps={steps}, epochs={epochs}; wanted final >= 1 and a warm-up of "
                "some steps or epochs; for a constant length, set trainer.accumulate_grad_batches instead"
            )
        self.final, self.growth, self.learning_rate = final, growth, learning_rate
        self.length = 1
        self._last = 1
        self._configured: int | None = None

    @property
    def grows(self) -> bool:
        """True if the group length grows."""
        return self.ramp.active

    def wanted_length(self, step: int, epoch: int) -> int:
        """Target length of a group that begins at an optimiser step of an epoch, both counted from 0."""
        progress = self.ramp.progress(step, epoch)
        if progress == 1:
            return self._last
        if self.growth == "doubling":
            return int(2 ** math.floor(math.log2(self._last) * progress + 1e-9))
        return 1 + math.floor((self._last - 1) * progress + 1e-9)

    def next_length(self, length: int, batch: int, step: int, epoch: int) -> int:
        """Group length at a batch, counted from 0 in its epoch; the current `length` unless a new group starts."""
        wanted = self.wanted_length(step, epoch)
        return wanted if batch % length == 0 and batch % wanted == 0 else length

    def steps_of_epoch(self, epoch: int, first_step: int, batches: int) -> int:
        """Number of optimiser steps in an epoch.

        Args:
            epoch: The epoch, counted from 0.
            first_step: Optimiser steps of the run before the epoch.
            batches: Number of batches in the epoch.
        """
        step, batch, length = first_step, 0, 1
        while batch < batches:
            length = self.next_length(length, batch, step, epoch)
            if self.ramp.progress(step, epoch) == 1 and length == self._last:
                return step - first_step + math.ceil((batches - batch) / length)
            batch, step = batch + length, step + 1
        return step - first_step

    def rate_factor(self, step: int, group: Mapping[str, Any], index: int) -> float:
        """Factor of the learning rate for the current group."""
        ratio = self.length / self._last
        return math.sqrt(ratio) if self.learning_rate == "sqrt" else ratio

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Read the final length, before the schedule reads the number of steps."""
        if stage == "fit":
            self._configured = trainer.accumulate_grad_batches
            self._last = self.final or trainer.accumulate_grad_batches
            self.length = self.wanted_length(0, 0)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Add the factor to the schedule, and set the trainer's group length, which may come from a checkpoint."""
        if self.grows:
            trainer.accumulate_grad_batches = self.length
        if self._scales_rate:
            schedule_of(trainer).factors[KEY] = self.rate_factor

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: object, batch_idx: int
    ) -> None:
        """Set the length of a group that begins with this batch."""
        if not self.grows:
            return
        self.length = self.next_length(self.length, batch_idx, trainer.global_step, trainer.current_epoch)
        trainer.accumulate_grad_batches = self.length
        if self._scales_rate:
            schedule_of(trainer).refresh()

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Restore the trainer's configured group length."""
        self._restore(trainer)

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Restore the trainer's configured group length."""
        self._restore(trainer)

    def state_dict(self) -> dict[str, Any]:
        """The current group length; within an epoch, it depends on earlier lengths."""
        return {"length": self.length}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the length."""
        self.length = state_dict["length"]

    @property
    def _scales_rate(self) -> bool:
        return self.grows and self.learning_rate != "constant"

    def _restore(self, trainer: L.Trainer) -> None:
        if self.grows and self._configured is not None:
            trainer.accumulate_grad_batches = self._configured
