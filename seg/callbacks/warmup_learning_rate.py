"""Start training with small steps."""

import math
from typing import Literal

import lightning as L
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from seg.errors import ConfigError


class WarmupLearningRate(L.Callback):
    """Scale the learning rate from a small factor to 1 over the first optimiser steps, on top of any scheduler.

    Each step sees the scheduled rate times the factor; afterwards the scheduled rate is put back, so that schedulers
    which compute from the current rate are not disturbed. The position follows the trainer's global step, so a resumed
    run goes on where it was.

    Args:
        steps: Optimiser steps until the factor is 1.
        start_factor: Factor of the first step, above 0 and at most 1.
        shape: How the factor rises: a straight line or half a cosine.

    Raises:
        ConfigError: An argument is out of range.

    Example:
        Trainer(callbacks=[WarmupLearningRate(steps=100)])
    """

    def __init__(
        self, steps: int = 100, start_factor: float = 0.01, shape: Literal["linear", "cosine"] = "linear"
    ) -> None:
        if steps < 0 or not 0 < start_factor <= 1:
            raise ConfigError(
                f"warm-up has steps={steps}, start_factor={start_factor}; wanted steps >= 0 and 0 < start_factor <= 1"
            )
        self.steps = steps
        self.start_factor = start_factor
        self.shape = shape
        self._scheduled: dict[Optimizer, list[float]] = {}
        self._handles: list[RemovableHandle] = []

    def factor(self, step: int) -> float:
        """The factor of an optimiser step, counted from 0."""
        if step >= self.steps:
            return 1.0
        progress = step / self.steps
        if self.shape == "cosine":
            progress = (1 - math.cos(math.pi * progress)) / 2
        return self.start_factor + (1 - self.start_factor) * progress

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Hook into each optimiser's step, once even where a task gives a second fit the same optimiser."""
        self._unhook()
        for optimizer in trainer.optimizers:
            self._handles += [
                optimizer.register_step_pre_hook(lambda optimizer, *_: self._scale(optimizer, trainer.global_step)),
                optimizer.register_step_post_hook(lambda optimizer, *_: self._put_back(optimizer)),
            ]

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Leave the optimisers as they were."""
        self._unhook()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Put the rates back when a step was broken off, before a checkpoint of that moment keeps them."""
        for optimizer in list(self._scheduled):
            self._put_back(optimizer)
        self._unhook()

    def _scale(self, optimizer: Optimizer, step: int) -> None:
        self._scheduled[optimizer] = [group["lr"] for group in optimizer.param_groups]
        for group in optimizer.param_groups:
            group["lr"] = group["lr"] * self.factor(step)

    def _put_back(self, optimizer: Optimizer) -> None:
        for group, rate in zip(optimizer.param_groups, self._scheduled.pop(optimizer), strict=True):
            group["lr"] = rate

    def _unhook(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
