"""Training of a student on labelled images, and on a teacher's predictions for unlabelled images."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor
from torch.optim import Optimizer

from seg.calibration.calibrate import CalibrationConfig, calibrate
from seg.calibration.histogram import LogitHistogram
from seg.data.datamodule import CroplandDataModule
from seg.data.dataset.fingerprint import images_fingerprint
from seg.errors import ConfigError, DatasetError
from seg.labels import IGNORE
from seg.losses.config import LossConfig
from seg.models.config import ModelConfig
from seg.models.segmenter import Heads, Segmenter
from seg.training.accumulation import Accumulation
from seg.training.optimizer import OptimizerConfig
from seg.training.progress import callbacks_of
from seg.training.schedule import ScheduleConfig
from seg.training.tasks.cropland import CroplandTask, binary_metrics, counted
from seg.training.teachers.average import AverageTeacher
from seg.training.teachers.config import TeacherConfig
from seg.training.teachers.norms import NormPolicy, for_clean, for_labelled, for_strong
from seg.training.teachers.packages import PackageTeacher, require_fitting
from seg.training.teachers.targets import (
    KeptShares,
    TargetConfig,
    Targets,
    kept_pixels,
    kept_shares,
    target_loss,
    targets_of_views,
)

UNLABELLED = "unlabelled"
"""Key of the unlabelled loss in `loss.weights`. WarmupLoss raises this weight from 0."""
STUDENT = "student/"
"""Prefix of the student's validation scores if there is an averaged teacher. The teacher's scores have no prefix."""
AVERAGED_FROM = "current_model_state"
"""Key of the student's weights in a checkpoint whose `state_dict` holds the averaged weights. Lightning's
WeightAveraging uses the same key."""


class StudentTask(CroplandTask):
    """Network that learns from labels, and from a teacher's targets for changed views of unlabelled images.

    The teacher predicts cropland in the clean view of each unlabelled sample. The student learns to predict the same
    cropland in strongly changed views. The task needs unlabelled scenes and `data.views.count` above 0, unless
    `targets.share` is above 0: a teacher of packages or maps then also teaches on labelled images.

    Args:
        bands: Channels of the images. On the command line, this number is taken from the data.
        model: Architecture of the network.
        loss: Mixture of losses on labelled images.
        optimizer: Optimiser and its settings.
        schedule: Learning rate over the run.
        accumulation: Weights of accumulated batches: area weights a batch by its number of labelled pixels; scene
            weights it by its number of images that have a labelled pixel.
        threshold: Probability above which a pixel counts as cropland in the scores of training, 0 to 1.
        calibration: Settings of the calibration after each validation.
        gradient_checkpointing: Do not store the activations within the network's blocks, but recompute them in the
            backward pass.
        teacher: Kind of the teacher.
        targets: Settings of the teacher's targets, and the weight of the loss against these targets.
        norms: Images that update BatchNorm's running statistics. clean: labelled images and clean views. labelled:
            labelled images only. frozen: labelled images only, and strong views are normalised by the running
            statistics instead of batch statistics.
        initial_weights: Checkpoint or model package. Before training, weights that fit the network are copied from this
            file; an averaged teacher starts with these weights too.

    Attributes:
        targets: Settings of the targets.
        kept: Pixel counts of the last batch with unlabelled samples; None before the first such batch.
        shown: The last batch of unlabelled samples with the teacher's targets, for pictures.

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
        teacher: TeacherConfig = TeacherConfig(),
        targets: TargetConfig = TargetConfig(),
        norms: NormPolicy = "clean",
        initial_weights: Path | None = None,
    ) -> None:
        if targets.share and teacher.kind == "average":
            raise ConfigError(
                f"model.targets.share is {targets.share:g}, but an averaged teacher adds nothing on labelled "
                "images; name model.teacher.packages or model.teacher.maps, or set the share to 0"
            )
        if norms == "frozen" and gradient_checkpointing:
            raise ConfigError(
                "model.norms is frozen, but model.gradient_checkpointing recomputes the strong views after the norms "
                "are released; use only one of the two options"
            )
        super().__init__(
            bands=bands,
            model=model,
            loss=loss,
            optimizer=optimizer,
            schedule=schedule,
            accumulation=accumulation,
            threshold=threshold,
            calibration=calibration,
            gradient_checkpointing=gradient_checkpointing,
            initial_weights=initial_weights,
        )
        own = {"task": "student", "teacher": teacher.plain(), "targets": vars(targets).copy(), "norms": norms}
        self.save_hyperparameters(own)
        self.loss.weights[UNLABELLED] = targets.weight
        self.teacher_config, self.targets, self.norms = teacher, targets, norms
        self.student_metrics = binary_metrics(threshold).clone(prefix=f"val/{STUDENT}")
        self.student_histogram = LogitHistogram()
        self.kept: KeptShares | None = None
        self.shown: dict[str, Any] = {}
        self._average: AverageTeacher | None = None
        self._packages: PackageTeacher | None = None
        self._scaling = 1.0, 0.0
        self._student: dict[str, Any] = {}
        self._taught_by: dict[str, object] = {}
        self._resumed: Mapping[str, Any] = {}

    @property
    def scored(self) -> Segmenter:
        """The network that validation and test score: the averaged teacher if there is one, otherwise the student."""
        return self.model if self._average is None else self._average.network

    @property
    def averages(self) -> bool:
        """True if the teacher is the moving average of the student."""
        return self.teacher_config.kind == "average"

    def check_data(self, data: CroplandDataModule) -> None:
        """Check that the data have the samples that the student needs, and that the data fit the teacher.

        Raises:
            ConfigError: No unlabelled sample is loaded, and `targets.share` is 0.
            DatasetError: There is no unlabelled scene, and `targets.share` is 0.
            PackageError: A package is missing or damaged, or was trained on other bands or another pixel size.
        """
        if not data.views.count and not self.targets.share:
            raise ConfigError(
                "data.views.count is 0, so no unlabelled sample is loaded; set it to 2, or learn from a teacher on "
                "labelled images with model.targets.share above 0"
            )
        if not data.loads_views and not self.targets.share:
            raise DatasetError(
                f"{data.root}: has no unlabelled scene outside the held-out fold; name some with "
                "--data.unlabelled=scenes/, or list images without a mask in the manifest"
            )
        if self.teacher_config.maps != data.maps:
            wanted = self.teacher_config.maps
            raise ConfigError(
                f"data.maps is {data.maps}, but model.teacher.maps is {wanted}; name the same maps in both"
            )
        if self.teacher_config.packages:
            require_fitting(self.teacher_config.packages, data.grids[0], data.bands, self.normalises_scenes)

    def on_fit_start(self) -> None:
        """Make the teacher from a copy of the student, from packages or from maps.

        Raises:
            ConfigError: The band statistics are missing, or a callback also averages the weights.
        """
        super().on_fit_start()
        data = cast(CroplandDataModule, self.trainer.datamodule)  # type: ignore[attr-defined]  # set by a connector
        config = self.teacher_config
        if config.kind == "packages":
            fill = self.model.normalization.mean.tolist()
            scene = data.statistics if self.normalises_scenes else None
            self._packages = PackageTeacher(config.packages, config.augmentation, self.device, fill, scene=scene)
        elif config.kind == "average":
            self._start_average()
        maps = sorted(set((data.teacher_maps or {}).values()))
        self._taught_by = config.provenance(maps)
        if data.loads_views:
            unlabelled = [scene.image for scene in data.unlabelled_scenes]
            self._taught_by |= {"unlabelled": images_fingerprint(unlabelled)}

    def _start_average(self) -> None:
        if any(isinstance(one, WeightAveraging) for one in callbacks_of(self.trainer)):
            raise ConfigError(
                "trainer.callbacks averages weights, but the teacher is already an average; leave the callback "
                "out and set model.teacher.decay"
            )
        self._average = AverageTeacher(self.model, self.teacher_config.decay)
        if self._resumed:
            self._average.load(self._resumed["weights"], self._resumed["updates"])
        self._average.to(self.device)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Loss of a batch of labelled samples and of views of unlabelled samples."""
        unlabelled = "clean" in batch
        with for_labelled(self.model, self.norms if unlabelled else "labelled"):
            loss = self._shared_step(batch, "train")
        if unlabelled:
            loss = loss + self.loss.weights[UNLABELLED] * self._unlabelled_loss(batch)
        return self.weighted(loss, batch["mask"], batch_idx)

    def labelled_loss(self, heads: Heads, batch: dict[str, Tensor], stage: str) -> Tensor:
        """Loss against the labels; in training, it is mixed with the loss against the teacher.

        Args:
            heads: Outputs of the network.
            batch: The batch.
            stage: "train", "val" or "test".
        """
        hard = super().labelled_loss(heads, batch, stage)
        share = self.targets.share
        if stage != "train" or not share:
            return hard
        if self._packages is not None:
            probability, valid = self._packages.probability(batch["image"]), batch["mask"] != IGNORE
        else:
            probability, valid = _of_map(batch["percent"])
            valid = valid & (batch["mask"] != IGNORE)
        targets = Targets(probability, valid, kept_pixels(probability, valid, self.targets.threshold))
        return (1 - share) * hard + share * target_loss(heads.cropland[:, 0], targets, self.targets)

    def _unlabelled_loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Loss of the strong views against the teacher's targets, not yet multiplied by its weight."""
        clean, strong, source = batch["clean"], batch["strong"], batch["source"]
        targets = targets_of_views(*self._teacher_word(batch), source, self.targets.threshold)
        if self.norms == "clean":
            with torch.no_grad(), for_clean(self.model):
                self.model(clean.flatten(0, 1))
        with for_strong(self.model, self.norms):
            logits = self.model(strong.flatten(0, 1))
        loss = target_loss(logits.view(source.shape), targets, self.targets)
        self._note(batch, targets, loss)
        return loss

    def _teacher_word(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Teacher's probability (B, K, H, W) for the clean images, and True where this probability is known."""
        if "clean_percent" in batch:
            return _of_map(batch["clean_percent"])
        clean = batch["clean"]
        images = clean.flatten(0, 1)
        if self._packages is not None:
            probability = self._packages.probability(images)
        else:
            temperature, bias = self._scaling
            logits = cast(AverageTeacher, self._average).logits(images)
            probability = (logits / temperature + bias).sigmoid()
        probability = probability.view(*clean.shape[:2], *clean.shape[-2:])
        return probability, torch.ones_like(probability, dtype=torch.bool)

    def _note(self, batch: dict[str, Tensor], targets: Targets, loss: Tensor) -> None:
        """Log the loss and the shares of the classes among kept and labelled pixels; store the batch for pictures."""
        self.kept = kept_shares(targets, batch["mask"])
        valid, labelled = (count.clamp(min=1) for count in (self.kept.valid, self.kept.labelled))
        shares = {
            "train/unlabelled_loss": loss.detach(),
            "train/kept_cropland": self.kept.cropland / valid,
            "train/kept_other": self.kept.other / valid,
            "train/labelled_cropland": self.kept.labelled_cropland / labelled,
        }
        count = counted(batch) * self.trainer.world_size
        self.log_dict(shares, on_step=False, on_epoch=True, batch_size=count, sync_dist=True)
        self.shown = {"batch": batch, "targets": targets}

    def optimizer_step(
        self,
        epoch: int,
        batch_idx: int,
        optimizer: Optimizer | LightningOptimizer,
        optimizer_closure: Callable[[], Any] | None = None,
    ) -> None:
        """Step the optimiser, then update the averaged teacher before any callback writes a checkpoint."""
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        if self._average is not None:
            self._average.update(self.model)

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Score a batch; if there is an averaged teacher, score the teacher and the student."""
        super().validation_step(batch, batch_idx)
        if self._average is None:
            return
        logits, mask = self.model(batch["image"]), batch["mask"]
        self.student_metrics.update(logits.sigmoid().squeeze(1), mask)
        turn = batch_idx * self.trainer.world_size + self.trainer.global_rank
        self.student_histogram.update(logits, mask, turn)
        self.log_dict(self.student_metrics, on_step=False, on_epoch=True, batch_size=counted(batch))

    def on_validation_epoch_end(self) -> None:
        """Calibrate the scored weights, and the student's weights if they differ."""
        super().on_validation_epoch_end()
        if self._average is None:
            return
        parts = self.student_histogram.compute().cpu().numpy()
        self.student_histogram.reset()
        if self.trainer.sanity_checking:
            return
        found = calibrate(parts, self.calibration_config, self.hparams["threshold"])
        self._student = {"step": self.trainer.global_step, "calibration": found.plain()}
        if self.targets.calibrated:
            _, average = self._calibration
            self._scaling = float(cast(float, average["temperature"])), float(cast(float, average["bias"]))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store the teacher's description; if the teacher is an average, store the weights of teacher and student."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["taught_by"] = self._taught_by
        if self._average is None:
            return
        weights = {f"model.{name}": value for name, value in self._average.network.state_dict().items()}
        checkpoint[AVERAGED_FROM] = checkpoint["state_dict"]
        checkpoint["state_dict"] = checkpoint["state_dict"] | weights
        checkpoint["teacher"] = {"updates": self._average.updates, "scaling": list(self._scaling)}
        if self._student.get("step") == self.trainer.global_step:
            checkpoint["student_calibration"] = self._student["calibration"]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the student's weights and, if the teacher is an average, the teacher's weights.

        Raises:
            ConfigError: The number of bands or the kind of teacher differs.
        """
        super().on_load_checkpoint(checkpoint)
        if self.trainer.state.fn != "fit":
            return
        kind = checkpoint.get("taught_by", {}).get("kind")
        if kind != self.teacher_config.kind:
            raise ConfigError(
                f"the teacher is {self.teacher_config.kind}, but the checkpoint's teacher was {kind}; set "
                "model.teacher to the checkpoint's kind, or train without --ckpt_path"
            )
        if self.averages:
            prefix = "model."
            average = {name: value for name, value in checkpoint["state_dict"].items() if name.startswith(prefix)}
            self._resumed = {
                "weights": {name.removeprefix(prefix): value for name, value in average.items()},
                "updates": checkpoint["teacher"]["updates"],
            }
            self._scaling = tuple(checkpoint["teacher"]["scaling"])
            checkpoint["state_dict"] = checkpoint[AVERAGED_FROM]


def _of_map(percent: Tensor) -> tuple[Tensor, Tensor]:
    """Probability from the percents of a map, and True where the map has data."""
    return percent.float().clamp(max=100) / 100, percent != IGNORE
