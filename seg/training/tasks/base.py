"""Base class of tasks: optimiser, learning-rate schedule, and weights of accumulated batches."""

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
from seg.training.progress import callbacks_of
from seg.training.schedule import LEARNING_RATE, RunSchedule, ScheduleConfig, schedule_of
from seg.training.warmups.batch import WarmupBatch
from seg.training.warmups.data import WarmupData
from seg.training.warmups.layers import WarmupLayers


class ScheduledTask(L.LightningModule):
    """Task that trains a network with an optimiser and a learning-rate schedule.

    A subclass defines a `training_step` that returns `self.weighted(loss, mask, batch_idx)`.

    Args:
        model: The network.
        optimizer: Optimiser and its settings.
        schedule: Learning rate over the run.
        accumulation: Rule for the weights of accumulated batches, as for `batch_weight`.

    Attributes:
        model: The network; only its parameters are optimised.
        total_steps: Number of optimiser steps of the whole run if a warm-up changes the number of steps per epoch; None
            if the trainer's estimate is correct.
    """

    def __init__(
        self, model: Segmenter, optimizer: OptimizerConfig, schedule: ScheduleConfig, accumulation: Accumulation
    ) -> None:
        super().__init__()
        self.model = model
        self.optimizer_config, self.schedule = optimizer, schedule
        self.group_scaling = GroupScaling(accumulation)
        self.total_steps: int | None = None
        self._optimizer_changed = False

    def fill_normalization(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Set the band statistics of the training split, one value per band, in stored units."""
        self.model.normalization.fill(mean, std)

    def on_fit_start(self) -> None:
        """Reject a network without band statistics.

        Raises:
            ConfigError: The statistics are missing.
        """
        if not self.model.normalization.filled:
            raise ConfigError(
                "the model has no band statistics; before fit, call fill_normalization with the training statistics"
            )

    def on_train_start(self) -> None:
        """Set the first learning rate of this run and, after resuming, the optimiser's settings.

        A checkpoint holds the optimiser settings and the learning rate of the earlier run. For example, the learning
        rate of a finished run is 0.
        """
        schedule = schedule_of(self.trainer)
        if self._optimizer_changed:
            set_options(schedule.optimizer, self.model, self.optimizer_config)
        schedule.refresh()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Compare the optimiser's settings with the settings in the checkpoint.

        If they are equal, `on_train_start` does not set them again, so that the resumed run stays bit-exact.
        """
        earlier = checkpoint.get("hyper_parameters", {}).get("optimizer")
        self._optimizer_changed = earlier != self.hparams.get("optimizer")

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Optimiser and schedule; for a warm-up of the layers, each backbone stage gets its own parameter groups."""
        self.total_steps = counted_steps(self.trainer)
        optimizer = build_optimizer(self.model, self.optimizer_config)
        if any(isinstance(each, WarmupLayers) and each.active for each in callbacks_of(self.trainer)):
            split_by_stage(optimizer, backbone_stages(self.model))
        schedule = RunSchedule(optimizer, self.rate_factor)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step", "name": LEARNING_RATE},
        }

    def rate_factor(self, step: int) -> float:
        """Share of the largest learning rate at an optimiser step of this run."""
        return self.schedule.factor(step / (self.total_steps or self.trainer.estimated_stepping_batches))

    def weighted(self, loss: Tensor, mask: Tensor, batch_idx: int) -> Tensor:
        """Multiply the loss of a batch by its weight if an optimiser step has several batches.

        Args:
            loss: Mean loss of the batch.
            mask: (B, H, W) uint8 labels.
            batch_idx: Index of the batch in the epoch, from 0.
        """
        if not self._accumulates:
            return loss
        length = self.trainer.accumulate_grad_batches
        if batch_idx % length == 0:
            self.group_scaling.begin()
        return self.group_scaling.weighted(loss, mask, length)

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Divide the gradient by the sum of the batches' weights, before the gradient is clipped."""
        if self._accumulates:
            self.group_scaling.finish(self.parameters(), self._mean_over_processes)

    @property
    def _accumulates(self) -> bool:
        """True if an optimiser step has several batches."""
        return self.trainer.accumulate_grad_batches > 1 or self.trainer.world_size > 1

    def _mean_over_processes(self, number: Tensor) -> Tensor:
        mean: Tensor = self.trainer.strategy.reduce(number, reduce_op="mean")
        return mean


def counted_steps(trainer: L.Trainer) -> int | None:
    """Number of optimiser steps of the whole run; None if Lightning's estimate is correct.

    Call this before training starts. Lightning's estimate assumes that all epochs are as long as the current one.
    """
    callbacks = callbacks_of(trainer)
    groups = next((each for each in callbacks if isinstance(each, WarmupBatch) and each.grows), None)
    epochs = next((each for each in callbacks if isinstance(each, WarmupData) and each.grows), None)
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
