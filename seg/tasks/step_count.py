"""How many steps the optimiser makes in a run, where callbacks let groups or epochs grow too."""

import math
from typing import Protocol, runtime_checkable

import lightning as L


@runtime_checkable
class GrowsGroups(Protocol):
    """A callback that may change how many batches make a step.

    Attributes:
        grows: Whether it does.
    """

    @property
    def grows(self) -> bool:
        """Whether it does."""

    def steps_of_epoch(self, epoch: int, first_step: int, batches: int) -> int:
        """The steps of an epoch of so many batches that begins, as the run's `epoch`, with the step `first_step`."""


@runtime_checkable
class GrowsEpochs(Protocol):
    """A callback that may change how many batches an epoch has.

    Attributes:
        grows: Whether it does.
    """

    @property
    def grows(self) -> bool:
        """Whether it does."""

    def batches_of_epoch(self, trainer: L.Trainer, epoch: int) -> int:
        """The batches of an epoch, counted from 0."""


def counted_steps(trainer: L.Trainer) -> int | None:
    """The optimiser steps of the whole run from its start; None where Lightning's own estimate is right.

    To be asked before training starts: Lightning takes all epochs for such as the present one.
    """
    callbacks: list[object] = trainer.callbacks  # type: ignore[attr-defined]  # set by a connector
    groups = next((each for each in callbacks if isinstance(each, GrowsGroups) and each.grows), None)
    epochs = next((each for each in callbacks if isinstance(each, GrowsEpochs) and each.grows), None)
    if (groups is None and epochs is None) or trainer.max_epochs is None or trainer.max_epochs < 0:
        return None
    if trainer.train_dataloader is None:
        _ = trainer.estimated_stepping_batches  # loads the data, so that the length of an epoch is known
    batches = trainer.num_training_batches
    if not isinstance(batches, int):
        return None
    steps = 0
    for epoch in range(trainer.max_epochs):
        shown = epochs.batches_of_epoch(trainer, epoch) if epochs else batches
        if groups:
            steps += groups.steps_of_epoch(epoch, steps, shown)
        else:
            steps += math.ceil(shown / trainer.accumulate_grad_batches)
    return min(steps, trainer.max_steps) if trainer.max_steps != -1 else steps
