"""Start training with a step after each batch, and let the batches of a step grow."""

import math
from typing import Any, Literal

import lightning as L

from seg.errors import ConfigError
from seg.training.warmups.ramp import Ramp
from seg.training.warmups.rate_scaling import RateScaling


class WarmupBatch(RateScaling):
    """Let the number of batches that are accumulated for a step grow from 1 to its final length.

    The length changes where a group begins; inside an epoch only where the batches before it are a multiple of the new
    length, since Lightning counts groups from the start of the epoch. The task weighs the batches of a group, and
    counts the steps of the whole run with this growth (`seg.training`).

    Args:
        steps: Optimiser steps until the final length; null or 0 for no warm-up.
        epochs: Epochs until then, instead of steps.
        final: The final length; null for trainer.accumulate_grad_batches.
        growth: By even additions, or by doublings at even distances.
        learning_rate: How the learning rate follows: not at all, or as the group's length, or the square root of it,
            is to the final one's.

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
        super().__init__()
        self.ramp = Ramp("warmup_batch", steps, epochs)
        if final is not None and (final < 1 or not self.ramp.wanted):
            raise ConfigError(
                f"warmup_batch has final={final}, steps={steps}, epochs={epochs}; wanted final >= 1 and a warm-up of "
                "some steps or epochs, or trainer.accumulate_grad_batches for the same length from the start"
            )
        self.final, self.growth, self.learning_rate = final, growth, learning_rate
        self.length = 1
        self._last = 1
        self._configured: int | None = None

    @property
    def scales(self) -> bool:
        """Whether the learning rate follows."""
        return self.ramp.wanted and self.learning_rate != "constant"

    @property
    def grows(self) -> bool:
        """Whether the groups grow; the task asks when it counts the steps of the run."""
        return self.ramp.wanted

    def wanted_length(self, step: int, epoch: int) -> int:
        """How many batches a group that begins at this step of this epoch, both counted from 0, should have."""
        progress = self.ramp.progress(step, epoch)
        if progress == 1:
            return self._last
        if self.growth == "doubling":
            return int(2 ** math.floor(math.log2(self._last) * progress + 1e-9))
        return 1 + math.floor((self._last - 1) * progress + 1e-9)

    def next_length(self, length: int, batch: int, step: int, epoch: int) -> int:
        """The length from a batch on, counted from 0 in its epoch, if it was `length` before."""
        wanted = self.wanted_length(step, epoch)
        return wanted if batch % length == 0 and batch % wanted == 0 else length

    def steps_of_epoch(self, epoch: int, first_step: int, batches: int) -> int:
        """The steps of an epoch of so many batches that begins, as the run's `epoch`, with the step `first_step`."""
        step, batch, length = first_step, 0, 1
        while batch < batches:
            length = self.next_length(length, batch, step, epoch)
            if self.ramp.progress(step, epoch) == 1 and length == self._last:
                return step - first_step + math.ceil((batches - batch) / length)
            batch, step = batch + length, step + 1
        return step - first_step

    def rate_factor(self, trainer: L.Trainer, group: dict[str, Any], index: int) -> float:
        """The group's length to the final one."""
        ratio = self.length / self._last
        return math.sqrt(ratio) if self.learning_rate == "sqrt" else ratio

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Take over the final length, before the schedule asks for the number of steps."""
        if stage == "fit":
            self._configured = trainer.accumulate_grad_batches
            self._last = self.final or trainer.accumulate_grad_batches
            self.length = self.wanted_length(0, 0)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Go on with the length of the checkpoint."""
        super().on_train_start(trainer, pl_module)
        if self.ramp.wanted:
            trainer.accumulate_grad_batches = self.length

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: object, batch_idx: int
    ) -> None:
        """Lengthen the group that begins."""
        if self.ramp.wanted:
            self.length = self.next_length(self.length, batch_idx, trainer.global_step, trainer.current_epoch)
            trainer.accumulate_grad_batches = self.length

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Leave the trainer as it was."""
        super().on_train_end(trainer, pl_module)
        self._give_back(trainer)

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Leave the trainer and its optimiser as they were."""
        super().on_exception(trainer, pl_module, exception)
        self._give_back(trainer)

    def state_dict(self) -> dict[str, Any]:
        """The present length: inside an epoch it depends on the ones before."""
        return {"length": self.length}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with that length."""
        self.length = state_dict["length"]

    def _give_back(self, trainer: L.Trainer) -> None:
        if self.ramp.wanted and self._configured is not None:
            trainer.accumulate_grad_batches = self._configured
