"""Loggers and callbacks of the training command, in the order in which they must run."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import lightning as L
from lightning.pytorch.callbacks import Callback, LearningRateMonitor
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger

from seg.data.datamodule import CroplandDataModule
from seg.training.batch_norm import FreezeBatchNorm, SyncRunningStatistics
from seg.training.checkpoints.exact_resume import SeedBatches
from seg.training.pictures.filled_panels import FilledPanels
from seg.training.pictures.learning_curves import LearningCurves
from seg.training.pictures.panels import PanelConfig, PredictionPanels
from seg.training.pictures.score_curves import ScoreCurves
from seg.training.pictures.teacher_panels import TeacherPanels
from seg.training.progress import is_trial
from seg.training.run.record import RunRecord
from seg.training.run.wandb import WandbFiles, require_wandb, start_wandb
from seg.training.schedule import LEARNING_RATE
from seg.training.stop_at_nan import StopAtNan
from seg.training.stop_at_signal import StopAtSignal
from seg.training.warmups.batch import WarmupBatch
from seg.training.warmups.data import WarmupData
from seg.training.warmups.layers import WarmupLayers
from seg.training.warmups.learning_rate import WarmupLearningRate
from seg.training.warmups.loss import WarmupLoss
from seg.training.watch_targets import WatchTargets

CALLBACK_KEYS: dict[str, type[Callback]] = {
    "warmup": WarmupLearningRate,
    "warmup_batch": WarmupBatch,
    "warmup_layers": WarmupLayers,
    "warmup_data": WarmupData,
    "warmup_loss": WarmupLoss,
    # batch_norm comes after warmup_layers, which unfreezes stages of the network and puts their norms into training
    # mode. batch_norm may then freeze these norms.
    "batch_norm": FreezeBatchNorm,
}
"""Callbacks by their key on the command line. With default settings, only `warmup` has an effect."""


@dataclass(frozen=True, kw_only=True)
class TrackingConfig:
    """Optional logs of a training. `metrics.csv` is written in any case.

    Args:
        tensorboard: Write TensorBoard events into the run's folder.
        wandb: Log to Weights & Biases. offline writes to `<run>/wandb/` and needs no internet connection and no
            account; online also uploads the files; null does not log to W&B.
        project: Name of the W&B project. The W&B run is named after the run's folder.

    Raises:
        ConfigError: W&B is enabled but not installed.
    """

    tensorboard: bool = True
    wandb: Literal["offline", "online"] | None = None
    project: str = "cropland-seg"

    def __post_init__(self) -> None:
        if self.wandb is not None:
            require_wandb(self.wandb)


def run_loggers(root: Path, tensorboard: bool = True) -> list[Logger]:
    """CSV and TensorBoard loggers that write directly into the run's folder."""
    loggers: list[Logger] = [CSVLogger(str(root), name="", version="")]
    return [*loggers, TensorBoardLogger(str(root), name="", version="")] if tensorboard else loggers


def add_wandb(trainer: L.Trainer, tracking: TrackingConfig, config: Mapping[str, object]) -> None:
    """If W&B is enabled, start a W&B run in the run's folder and add its logger to the trainer.

    Args:
        trainer: Trainer of the run.
        tracking: Optional logs.
        config: The resolved configuration, as plain values.

    Raises:
        ConfigError: W&B does not start.
    """
    if tracking.wandb is None or is_trial(trainer):
        return
    root = Path(trainer.default_root_dir).resolve()
    logger = start_wandb(root, tracking.wandb, tracking.project, config)
    trainer.loggers = [*trainer.loggers, logger]


def safeguards(seed: int) -> list[Callback]:
    """Callbacks that make a training reproducible, and callbacks that stop it at a NaN loss or a signal.

    Args:
        seed: Seed of the run.
    """
    return [SeedBatches(seed), StopAtNan(), SyncRunningStatistics(), StopAtSignal()]


def task_callbacks(task: str, panels: PanelConfig) -> list[Callback]:
    """Callbacks of a task that learns from unlabelled scenes; they must be listed after the warm-ups.

    Args:
        task: Name of the task.
        panels: Settings of the pictures.
    """
    if task == "student":
        return [WatchTargets(), TeacherPanels(panels)]
    return [FilledPanels(panels)] if task == "pretext" else []


def tracking_callbacks(
    panels: PanelConfig, data: CroplandDataModule, has_logger: bool, resumed_from: str | None
) -> list[Callback]:
    """Callbacks that draw and record a training.

    Args:
        panels: Settings of the pictures.
        data: Datamodule of the training.
        has_logger: True if the trainer has a logger; learning rates and curves need one.
        resumed_from: Checkpoint that the run resumes from, or None.
    """
    pictures: list[Callback] = [PredictionPanels(panels)]
    if panels.curves:
        pictures.append(ScoreCurves(panels.every_epochs))
    curves = [LearningRateMonitor(logging_interval="step"), LearningCurves()] if has_logger else []
    return [*pictures, *curves, RunRecord(sys.argv, data.seed, data.fingerprint, resumed_from), WandbFiles()]


class EpochLine(Callback):
    """Print one line after each validated epoch; in log files, these lines replace the progress bar."""

    def __init__(self) -> None:
        self._validated = False

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Note that this epoch has no scores yet."""
        self._validated = False

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Note that this epoch has scores."""
        self._validated = True

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Print epoch, losses and scores. In earlier hooks, the training loss would be that of the previous epoch."""
        if not (self._validated and trainer.is_global_zero):
            return
        metrics = trainer.callback_metrics
        names = [name for name in sorted(metrics) if not name.endswith("_step") and not name.startswith(LEARNING_RATE)]
        shown = "  ".join(f"{name} {float(metrics[name]):.4f}" for name in names)
        print(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}  {shown}", flush=True)
