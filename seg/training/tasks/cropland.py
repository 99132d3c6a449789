"""Training, validation and test of a cropland network."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import lightning as L
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer
from torchmetrics import MetricCollection

from seg.calibration.calibrate import (
    Calibration,
    CalibrationConfig,
    Plain,
    calibrate,
)
from seg.calibration.curves import Counts
from seg.calibration.histogram import LogitHistogram
from seg.errors import ConfigError
from seg.losses.config import LossConfig
from seg.losses.mixture import CroplandLoss
from seg.models.build import build_model
from seg.models.config import ModelConfig
from seg.models.recomputation import recompute_in_backward
from seg.models.stages import backbone_stages
from seg.training.accumulation import Accumulation, GroupScaling
from seg.training.metrics import binary_metrics
from seg.training.optimizer import OptimizerConfig, build_optimizer, split_by_stage, wants_stages
from seg.training.schedule import RunSchedule, ScheduleConfig, counted_steps


class CroplandTask(L.LightningModule):
    """One logit a pixel, trained with a mixture of losses over the valid pixels.

    Args:
        bands: Channels of the images; the command line takes it from the data.
        model: What the network is made of.
        loss: The mixture of losses.
        optimizer: How weights are updated.
        schedule: How the learning rate goes over the run.
        accumulation: What the batches that are accumulated for a step count for: their labelled pixels (area), or each
            image that has any the same (scene).
        threshold: Probability above which a pixel counts as cropland in the scores of training, 0 to 1.
        calibration: What a package takes from the validation of its weights.
        gradient_checkpointing: Compute the insides of the network's blocks again in the backward pass instead of
            keeping them: less memory, more time, the same weights.

    Attributes:
        total_steps: Optimiser steps of the whole run, for the schedule, where a callback changes how many batches make
            a step or an epoch; None for the trainer's own estimate.
        counts: The logits of the last validation or test, counted; None before.

    Raises:
        ConfigError: An argument cannot work.
    """

    def __init__(
        self,
        *,
        bands: int,
        model: ModelConfig = ModelConfig(),
        loss: LossConfig = LossConfig(),
        optimizer: OptimizerConfig = OptimizerConfig(),
        schedule: ScheduleConfig = ScheduleConfig(),
        accumulation: Accumulation = "area",
        threshold: float = 0.5,
        calibration: CalibrationConfig = CalibrationConfig(),
        gradient_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        if not 0 <= threshold <= 1:
            raise ConfigError(f"model.threshold is {threshold}; wanted 0 to 1")
        self.loss = CroplandLoss(loss)
        if model.boundary != (loss.boundary > 0):
            raise ConfigError(
                f"model.model.boundary is {model.boundary} and model.loss.boundary {loss.boundary}; a boundary head "
                "needs a weight above 0, and the weight a head: set both or neither"
            )
        # Plain values only: a checkpoint is loaded without unpickling any class.
        self.save_hyperparameters(
            {
                "bands": bands,
                "model": model.arguments(),
                "loss": asdict(loss),
                "optimizer": asdict(optimizer),
                "schedule": schedule.arguments(),
                "accumulation": accumulation,
                "threshold": threshold,
                "calibration": asdict(calibration),
            }
        )
        self.model = build_model(model, bands)
        if gradient_checkpointing:
            recompute_in_backward(self.model)
        self.optimizer_config = optimizer
        self.schedule = schedule
        self.group_scaling = GroupScaling(accumulation)
        self.total_steps: int | None = None
        self.val_metrics = binary_metrics(threshold).clone(prefix="val/")
        self.test_metrics = binary_metrics(threshold).clone(prefix="test/")
        self.histogram = LogitHistogram()
        self.calibration_config = calibration
        self.counts: Counts | None = None
        self._calibration: tuple[int, dict[str, Plain]] = -1, {}  # after which step, what

    def forward(self, image: Tensor) -> Tensor:
        """The (B, 1, H, W) logits of (B, C, H, W) images in stored units."""
        logits: Tensor = self.model(image)
        return logits

    def fill_normalization(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Take over the training split's statistics, one value a band, in stored units."""
        self.model.normalization.fill(mean, std)

    def on_fit_start(self) -> None:
        """Refuse to train a network that was not given its band statistics.

        Raises:
            ConfigError: They are missing.
        """
        if not self.model.normalization.filled:
            raise ConfigError(
                "the model has no band statistics; before fit, call fill_normalization with those of the training split"
            )

    def on_train_start(self) -> None:
        """Start at the schedule's rate: a run that is extended was restored with that of its end, which is 0."""
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = group.setdefault("initial_lr", group["lr"]) * self.rate_factor(self.trainer.global_step)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """The loss of a batch; multiplied with its weight where several batches make a step."""
        loss = self._shared_step(batch, "train")
        if not self._makes_groups:
            return loss
        length = self.trainer.accumulate_grad_batches
        if batch_idx % length == 0:
            self.group_scaling.begin()
        return self.group_scaling.weighted(loss, batch["mask"], length)

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Divide the gradient by the weights of its batches, before it is clipped."""
        if self._makes_groups:
            self.group_scaling.finish(self.parameters(), self._mean_over_processes)

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Count a batch towards the validation metrics."""
        self._shared_step(batch, "val", self.val_metrics, batch_idx)

    def test_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Count a batch towards the test metrics."""
        self._shared_step(batch, "test", self.test_metrics, batch_idx)

    def on_validation_epoch_end(self) -> None:
        """Calibrate the weights that were validated."""
        found = self._calibrate("val")
        if not self.trainer.sanity_checking:
            self._calibration = self.trainer.global_step, found.plain()

    def on_test_epoch_end(self) -> None:
        """Say how far the probabilities can be believed."""
        self._calibrate("test")

    def on_save_checkpoint(self, checkpoint: dict[str, object]) -> None:
        """Keep the scores of the weights in the checkpoint, as plain numbers, and their calibration.

        Weights that took a step since they were validated have neither.
        """
        step, found = self._calibration
        validated = step == self.trainer.global_step
        scores = {name: float(value) for name, value in self.trainer.callback_metrics.items()}
        checkpoint["metrics"] = {name: score for name, score in scores.items() if validated or name[:4] != "val/"}
        if validated:
            checkpoint["calibration"] = found

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse the checkpoint of a network for other bands, before its weights are loaded.

        Raises:
            ConfigError: Its number of bands is another.
        """
        trained, found = checkpoint["hyper_parameters"]["bands"], self.hparams["bands"]
        if trained != found:
            raise ConfigError(
                f"the data have {found} bands, but the checkpoint was trained on {trained}; choose them with data.bands"
            )
        if "calibration" in checkpoint:
            self._calibration = checkpoint["global_step"], checkpoint["calibration"]

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The optimiser, without decay on norms and biases, and the schedule over all steps."""
        self.total_steps = counted_steps(self.trainer)
        optimizer = build_optimizer(self.model, self.optimizer_config)
        if wants_stages(self.trainer):
            split_by_stage(optimizer, self.backbone_stages())
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": RunSchedule(optimizer, self.rate_factor), "interval": "step"},
        }

    def backbone_stages(self) -> list[list[nn.Module]]:
        """The layers that own the parameters of each backbone stage, from the shallowest to the deepest."""
        return backbone_stages(self.model)

    def rate_factor(self, step: int) -> float:
        """The schedule's share of the learning rate at an optimiser step.

        Of this trainer's length, also where a checkpoint's was shorter.
        """
        return self.schedule.factor(step / (self.total_steps or self.trainer.estimated_stepping_batches))

    @property
    def _makes_groups(self) -> bool:
        """Whether a step has several batches, so that they need weights."""
        return self.trainer.accumulate_grad_batches > 1 or self.trainer.world_size > 1

    def _mean_over_processes(self, number: Tensor) -> Tensor:
        mean: Tensor = self.trainer.strategy.reduce(number, reduce_op="mean")
        return mean

    def _calibrate(self, stage: str) -> Calibration:
        self.counts = self.histogram.compute().cpu().numpy()
        self.histogram.reset()
        found = calibrate(self.counts, self.calibration_config, self.hparams["threshold"])
        self.log_dict({f"{stage}/ece": found.ece_before, f"{stage}/ece_calibrated": found.ece_after}, sync_dist=True)
        return found

    def _shared_step(
        self, batch: dict[str, Tensor], stage: str, metrics: MetricCollection | None = None, batch_idx: int = 0
    ) -> Tensor:
        image, mask = batch["image"], batch["mask"]
        logits, boundary = self.model.heads(image)
        loss: Tensor = self.loss(logits, mask, boundary)
        # Lightning averages these counts over the processes, and rounds: so each counts for all of them.
        processes = self.trainer.world_size
        count = _counted(batch) * processes
        self.log(f"{stage}/loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=count, sync_dist=True)
        if metrics is not None:
            metrics.update(logits.sigmoid().squeeze(1), mask)
            self.histogram.update(logits, mask, batch_idx * processes + self.trainer.global_rank)
            self.log_dict(metrics, on_step=False, on_epoch=True, prog_bar=True, batch_size=count)
        return loss


def _counted(batch: Mapping[str, Any]) -> int:
    """The images of a batch that count: what only keeps a process in step with others has no name."""
    return sum(map(bool, batch["name"])) if "name" in batch else len(batch["image"])
