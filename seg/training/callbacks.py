"""What follows a training: its loggers, and the callbacks that write down how it goes."""

import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import lightning as L
import yaml
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning.pytorch.trainer import Trainer

from seg.data.datamodule import CroplandDataModule
from seg.data.dataset.fingerprint import dataset_fingerprint
from seg.training.batch_norm import FreezeBatchNorm, MergeBatchNorm
from seg.training.pictures.learning_curves import LearningCurves
from seg.training.pictures.panels import PanelConfig, PredictionPanels
from seg.training.pictures.score_curves import ScoreCurves
from seg.training.run.folder import is_trial
from seg.training.run.log_learning_rate import LogLearningRate
from seg.training.run.record import RunRecord
from seg.training.run.wandb import WandbFiles, require_wandb, start_wandb
from seg.training.safeguards.seed_batches import SeedBatches
from seg.training.safeguards.stop_at_nan import StopAtNan
from seg.training.safeguards.stop_at_signal import StopAtSignal
from seg.training.warmups.batch import WarmupBatch
from seg.training.warmups.data import WarmupData
from seg.training.warmups.layers import WarmupLayers
from seg.training.warmups.learning_rate import WarmupLearningRate
from seg.training.warmups.loss import WarmupLoss


@dataclass(frozen=True, kw_only=True)
class TrackingConfig:
    """Where the course of a training is written, besides `metrics.csv`, which is always there.

    Args:
        tensorboard: Write TensorBoard events into the run's folder.
        wandb: Follow the training with Weights & Biases: offline writes into `<run>/wandb/` without network or account,
            online uploads it too; null for neither.
        project: The project of W&B; the run has the name of its folder.

    Raises:
        ConfigError: W&B is wanted, but not installed.
    """

    tensorboard: bool = True
    wandb: Literal["offline", "online"] | None = None
    project: str = "cropland-seg"

    def __post_init__(self) -> None:
        if self.wandb is not None:
            require_wandb(self.wandb)


def run_loggers(root: Path, tensorboard: bool = True) -> list[Logger]:
    """CSV and TensorBoard logs that lie directly in the run's folder."""
    loggers: list[Logger] = [CSVLogger(str(root), name="", version="")]
    return [*loggers, TensorBoardLogger(str(root), name="", version="")] if tensorboard else loggers


def add_wandb(trainer: Trainer, tracking: TrackingConfig, config: str) -> None:
    """Add a run of Weights & Biases to the trainer's loggers if one is wanted; it begins here, in the run's folder.

    Args:
        trainer: Whose run it is.
        tracking: What is wanted.
        config: The resolved configuration as YAML.

    Raises:
        ConfigError: W&B refuses.
    """
    if tracking.wandb is None or is_trial(trainer):
        return
    root = Path(trainer.default_root_dir).resolve()
    logger = start_wandb(root, tracking.wandb, tracking.project, yaml.safe_load(config))
    trainer.loggers = [*trainer.loggers, logger]


def tracking_callbacks(
    panels: PanelConfig, data: CroplandDataModule, has_logger: bool, resumed_from: str | None
) -> list[Callback]:
    """The callbacks that show how a training goes and what it was made of, in the order in which they need each other.

    Args:
        panels: Which pictures there are.
        data: What is trained on.
        has_logger: Whether the trainer logs; without, there is nothing to draw curves of.
        resumed_from: The checkpoint that the run goes on from, or None.
    """
    pictures: list[Callback] = [PredictionPanels(panels)]
    if panels.curves:
        pictures.append(ScoreCurves(panels.every_epochs))
    curves = [LogLearningRate(), LearningCurves()] if has_logger else []
    dataset = partial(dataset_fingerprint, data.root, data.scenes)
    return [*pictures, *curves, RunRecord(sys.argv, data.seed, dataset, resumed_from), WandbFiles()]


CALLBACK_KEYS: dict[str, type[L.Callback]] = {
    "warmup": WarmupLearningRate,
    "warmup_batch": WarmupBatch,
    "warmup_layers": WarmupLayers,
    "warmup_data": WarmupData,
    "warmup_loss": WarmupLoss,
    # After the layers: a stage that is released trains its norms, unless this says otherwise.
    "batch_norm": FreezeBatchNorm,
}
"""In the order in which they are called. By default all but the learning rate's do nothing."""


def safeguards(seed: int) -> list[L.Callback]:
    """New ones for a run.

    Args:
        seed: Its seed.
    """
    return [SeedBatches(seed), StopAtNan(), MergeBatchNorm(), StopAtSignal()]
