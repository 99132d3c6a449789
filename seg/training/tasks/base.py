"""Optimisation that all tasks share: optimiser, learning-rate schedule, weights of accumulated batches."""

import math
from collections.abc import Sequence
from typing import Any

import lightning as L
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.optim import Optimizer

from seg.errors import ConfigError
from seg.models.segmenter import Segmenter
from seg.models.stages import backbone_stages
from seg.training.accumulation import Accumulation, GroupScaling
from seg.training.optimizer import OptimizerConfig, build_optimizer, set_options, split_by_stage
from seg.training.schedule import LEARNING_RATE, RunSchedule, ScheduleConfig, schedule_of
from seg.training.trainer_state import callbacks_of
from seg.training.warmups.batch import WarmupBatch
from seg.training.warmups.data import WarmupData
from seg.training.warmups.layers import WarmupLayers


class ScheduledTask(L.LightningModule):
    """Task that optimises a network under a schedule, to which warm-ups give their factors.

    A subclass writes `training_step` and returns `self.weighted(loss, mask, batch_idx)` from it.

    Args:
        model: The network.
        optimizer: Optimiser and its settings.
        schedule: Learning rate over the run.
        accumulation: Unit in which accumulated batches are weighted.

    Attributes:
        model: The network; its parameters, and no others, are optimised.
        total_steps: Optimiser steps of the whole run where a warm-up changes the length of steps or epochs; None where
            the trainer's own estimate is right.
    """

    def __init__(
        self, model: Segmenter, optimizer: OptimizerConfig, schedule: ScheduleConfig, accumulation: Accumulation
    ) -> None:
        super().__init__()
        self.model = model
        self.optimizer_config, self.schedule = optimizer, schedule
        self.group_scaling = GroupScaling(accumulation)
        self.total_steps: int | None = None
        self._resumes = False

    def fill_normalization(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Set the band statistics of the training split, one value a band, in stored units."""
        self.model.normalization.fill(mean, std)

    def on_fit_start(self) -> None:
        """Reject a network without band statistics.

        Raises:
            ConfigError: The statistics are missing.
        """
        if not self.model.normalization.filled:
            raise ConfigError(
                "the model has no band statistics; before fit, call fill_normalization with those of the training split"
            )

    def on_train_start(self) -> None:
        """Set the first rate of this run, and after a resumption the settings of its optimiser.

        The checkpoint may have others, and the last one of a shorter run that is extended holds a rate of 0.
        """
        schedule = schedule_of(self.trainer)
        if self._resumes:
            set_options(schedule.optimizer, self.model, self.optimizer_config)
        schedule.refresh()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Note a checkpoint whose optimiser had other settings; with equal ones its state stays to the bit."""
        earlier = checkpoint.get("hyper_parameters", {}).get("optimizer")
        self._resumes = earlier != self.hparams.get("optimizer")

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Optimiser with its schedule over all steps; it has groups for each backbone stage if a warm-up needs them."""
        self.total_steps = counted_steps(self.trainer)
        optimizer = build_optimizer(self.model, self.optimizer_config)
        if any(isinstance(one, WarmupLayers) and one.wanted for one in callbacks_of(self.trainer)):
            split_by_stage(optimizer, backbone_stages(self.model))
        schedule = RunSchedule(optimizer, self.rate_factor)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step", "name": LEARNING_RATE},
        }

    def rate_factor(self, step: int) -> float:
        """Share of the learning rate at an optimiser step, by the steps of this run, which may extend a shorter one."""
        return self.schedule.factor(step / (self.total_steps or self.trainer.estimated_stepping_batches))

    def weighted(self, loss: Tensor, mask: Tensor, batch_idx: int) -> Tensor:
        """Weight the loss of a batch where several batches make a step; return the result from `training_step`.

        Args:
            loss: A mean over the batch.
            mask: (B, H, W) uint8 labels.
            batch_idx: Place of the batch in the epoch, from 0.
        """
        if not self._joins_batches:
            return loss
        length = self.trainer.accumulate_grad_batches
        if batch_idx % length == 0:
            self.group_scaling.begin()
        return self.group_scaling.weighted(loss, mask, length)

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Divide the gradient by the weights of its batches, before it is clipped."""
        if self._joins_batches:
            self.group_scaling.finish(self.parameters(), self._mean_over_processes)

    @property
    def _joins_batches(self) -> bool:
        """True if a step has several batches, which then need weights."""
        return self.trainer.accumulate_grad_batches > 1 or self.trainer.world_size > 1

    def _mean_over_processes(self, number: Tensor) -> Tensor:
        mean: Tensor = self.trainer.strategy.reduce(number, reduce_op="mean")
        return mean


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
