"""Training, validation and test of a cropland network on labelled images."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor
from torchmetrics import MetricCollection
from torchmetrics.classification import BinaryF1Score, BinaryJaccardIndex, BinaryPrecision, BinaryRecall

from seg.calibration.calibrate import (
    Calibration,
    CalibrationConfig,
    Plain,
    calibrate,
)
from seg.calibration.curves import Counts
from seg.calibration.histogram import LogitHistogram
from seg.data.datamodule import CroplandDataModule
from seg.errors import ConfigError
from seg.labels import IGNORE
from seg.losses.config import LossConfig
from seg.losses.mixture import CroplandLoss
from seg.models.build import build_model
from seg.models.config import ModelConfig
from seg.models.recomputation import recompute_in_backward
from seg.models.segmenter import Heads, Segmenter
from seg.training.accumulation import Accumulation
from seg.training.initial_weights import take_weights
from seg.training.optimizer import OptimizerConfig
from seg.training.schedule import LEARNING_RATE, ScheduleConfig
from seg.training.tasks.base import ScheduledTask


def binary_metrics(threshold: float = 0.5) -> MetricCollection:
    """IoU, F1, precision and recall of cropland, from counts summed over all updates.

    Keys are `iou`, `f1`, `precision` and `recall`; `.clone(prefix="val/")` makes separate metrics for a stage. If a
    scene is cut into chips, the scores are those of the whole scene. If no pixel is counted, scores are 0, not NaN.

    Update the metrics with probabilities and masks of the same shape. If probabilities are `(B, 1, H, W)`, call
    `unsqueeze(1)` on the mask.

    - probabilities: float, 0 to 1. If the probability is above the threshold, the pixel counts as cropland. Never pass
      logits: torchmetrics applies a sigmoid only if a value lies outside [0, 1], so it would treat logits within [0, 1]
      as probabilities.
    - mask: uint8 or int64; OTHER, CROPLAND or IGNORE. IGNORE pixels are not counted.

    Args:
        threshold: Probability above which a pixel counts as cropland, between 0 and 1.
    """
    return MetricCollection(
        {
            "iou": BinaryJaccardIndex(threshold=threshold, ignore_index=IGNORE),
            "f1": BinaryF1Score(threshold=threshold, ignore_index=IGNORE),
            "precision": BinaryPrecision(threshold=threshold, ignore_index=IGNORE),
            "recall": BinaryRecall(threshold=threshold, ignore_index=IGNORE),
        }
    )


class CroplandTask(ScheduledTask):
    """Network with one logit per pixel, trained with a mixture of losses over the valid pixels.

    Args:
        bands: Channels of the images. On the command line, this number is taken from the data.
        model: Architecture of the network.
        loss: Mixture of losses.
        optimizer: Optimiser and its settings.
        schedule: Learning rate over the run.
        accumulation: Weights of accumulated batches: area weights a batch by its number of labelled pixels; scene
            weights it by its number of images that have a labelled pixel.
        threshold: Probability above which a pixel counts as cropland in the scores of training, 0 to 1.
        calibration: Settings of the calibration after each validation.
        gradient_checkpointing: Do not store the activations within the network's blocks, but recompute them in the
            backward pass. This takes less memory and more time; the trained weights do not change.
        initial_weights: Checkpoint or model package. Before training, weights that fit the network are copied from this
            file. Checkpoints do not store this path, because they hold the trained weights.

    Attributes:
        counts: Counted logits of the last validation or test; None before the first validation or test.
        initial: Names of the tensors that were copied from `initial_weights`; None without `initial_weights`.

    Raises:
        ConfigError: An argument is out of range or contradicts another argument.
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
        initial_weights: Path | None = None,
    ) -> None:
        if not 0 <= threshold <= 1:
            raise ConfigError(f"model.threshold is {threshold}; wanted 0 to 1")
        mixture = CroplandLoss(loss)
        if model.boundary != (loss.boundary > 0):
            raise ConfigError(
                f"model.model.boundary is {model.boundary} and model.loss.boundary {loss.boundary}; a boundary head "
                "needs a weight above 0, and the weight needs a head: set both or neither"
            )
        super().__init__(build_model(model, bands), optimizer, schedule, accumulation)
        self.initial = None if initial_weights is None else take_weights(self.model, initial_weights)
        self.loss = mixture
        # Plain values only, so that loading a checkpoint does not unpickle classes.
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
        if gradient_checkpointing:
            recompute_in_backward(self.model)
        self.val_metrics = binary_metrics(threshold).clone(prefix="val/")
        self.test_metrics = binary_metrics(threshold).clone(prefix="test/")
        self.histogram = LogitHistogram()
        self.calibration_config = calibration
        self.counts: Counts | None = None
        # Optimiser step of the last calibration, and the values of this calibration.
        self._calibration: tuple[int, dict[str, Plain]] = (-1, {})

    def forward(self, image: Tensor) -> Tensor:
        """Compute logits (B, 1, H, W) of images (B, C, H, W) in stored units."""
        logits: Tensor = (self.model if self.training else self.scored)(image)
        return logits

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Compute the loss of a batch, weighted if a step has several batches."""
        return self.weighted(self._shared_step(batch, "train"), batch["mask"], batch_idx)

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Add a batch to the validation metrics."""
        self._shared_step(batch, "val", self.val_metrics, batch_idx)

    def test_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Add a batch to the test metrics."""
        self._shared_step(batch, "test", self.test_metrics, batch_idx)

    @property
    def normalises_scenes(self) -> bool:
        """True if the network expects each scene matched to the training images."""
        return bool(self.hparams["model"]["normalisation"] == "scene")

    def check_data(self, data: CroplandDataModule) -> None:
        """Check that the data fit the task.

        Raises:
            ConfigError: Unlabelled samples are loaded, but this task cannot learn from them.
        """
        if data.views.count:
            raise ConfigError(
                f"data.views.count is {data.views.count}, but the task learns from labels only; add "
                "--task=student, or set data.views.count to 0"
            )

    def on_validation_epoch_end(self) -> None:
        """Calibrate the validated weights."""
        found = self._calibrate("val")
        if not self.trainer.sanity_checking:
            self._calibration = self.trainer.global_step, found.plain()

    def on_test_epoch_end(self) -> None:
        """Log the calibration error of the test."""
        self._calibrate("test")

    def on_save_checkpoint(self, checkpoint: dict[str, object]) -> None:
        """Store the scores and the calibration of the weights in the checkpoint, as plain numbers.

        If the weights have changed since the last validation, validation scores and calibration are left out.
        """
        step, found = self._calibration
        validated = step == self.trainer.global_step
        metrics = self.trainer.callback_metrics.items()
        scores = {name: float(value) for name, value in metrics if not name.startswith(LEARNING_RATE)}
        checkpoint["metrics"] = {name: score for name, score in scores.items() if validated or name[:4] != "val/"}
        if validated:
            checkpoint["calibration"] = found

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Reject a checkpoint with another number of bands, before its weights are loaded.

        Raises:
            ConfigError: The number of bands differs.
        """
        super().on_load_checkpoint(checkpoint)
        trained, found = checkpoint["hyper_parameters"]["bands"], self.hparams["bands"]
        if trained != found:
            raise ConfigError(
                f"the data have {found} bands, but the checkpoint was trained on {trained}; set data.bands to the "
                "bands of that training"
            )
        if "calibration" in checkpoint:
            self._calibration = checkpoint["global_step"], checkpoint["calibration"]

    @property
    def scored(self) -> Segmenter:
        """The network that validation and test score."""
        return self.model

    def labelled_loss(self, heads: Heads, batch: dict[str, Tensor], stage: str) -> Tensor:
        """Loss of a labelled batch.

        Args:
            heads: Outputs of the network.
            batch: The batch.
            stage: "train", "val" or "test".
        """
        loss: Tensor = self.loss(heads.cropland, batch["mask"], heads.boundary)
        return loss

    def _calibrate(self, stage: str) -> Calibration:
        self.counts = self.histogram.compute().cpu().numpy()
        self.histogram.reset()
        found = calibrate(self.counts, self.calibration_config, self.hparams["threshold"])
        self.log_dict({f"{stage}/ece": found.ece_before, f"{stage}/ece_calibrated": found.ece_after}, sync_dist=True)
        return found

    def _shared_step(
        self, batch: dict[str, Tensor], stage: str, metrics: MetricCollection | None = None, batch_idx: int = 0
    ) -> Tensor:
        mask = batch["mask"]
        heads = (self.model if stage == "train" else self.scored).heads(batch["image"])
        logits, loss = heads.cropland, self.labelled_loss(heads, batch, stage)
        # Lightning divides the summed counts by the number of processes and rounds down, so multiply by that number
        # first.
        processes = self.trainer.world_size
        count = counted(batch) * processes
        self.log(f"{stage}/loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=count, sync_dist=True)
        if metrics is not None:
            metrics.update(logits.sigmoid().squeeze(1), mask)
            self.histogram.update(logits, mask, batch_idx * processes + self.trainer.global_rank)
            self.log_dict(metrics, on_step=False, on_epoch=True, prog_bar=True, batch_size=count)
        return loss


def counted(batch: Mapping[str, Any]) -> int:
    """Number of images in a batch, without padding samples, which have no name."""
    return sum(map(bool, batch["name"])) if "name" in batch else len(batch["image"])
