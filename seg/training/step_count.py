"""Number of optimiser steps in a run whose warm-ups change the length of steps or epochs."""

import math

import lightning as L

from seg.training.trainer_state import callbacks_of
from seg.training.warmups.batch import WarmupBatch
from seg.training.warmups.data import WarmupData


def counted_steps(trainer: L.Trainer) -> int | None:
    """Optimiser steps of the whole run; None where Lightning's own estimate is right.

    Call it before training starts. Lightning's estimate takes all epochs to be as long as the present one.
    """
    callbacks = callbacks_of(trainer)
    groups = next((one for one in callbacks if isinstance(one, WarmupBatch) and one.grows), None)
    epochs = next((one for one in callbacks if isinstance(one, WarmupData) and one.grows), None)
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
