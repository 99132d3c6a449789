"""Short trainings that stop and resume, for comparison with trainings that run through."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import Tensor

from seg.data.augmentation.pipeline import AugmentationConfig
from seg.data.datamodule import CroplandDataModule
from seg.models.config import ModelConfig
from seg.training.checkpoints.atomic_io import AtomicCheckpointIO
from seg.training.checkpoints.exact_resume import ExactResume
from seg.training.checkpoints.saving import BestCheckpoint, LastCheckpoint
from seg.training.tasks.cropland import CroplandTask
from support.networks import TINY
from support.training import quiet_trainer

AUGMENTATION = AugmentationConfig(gain=0.1, noise=0.1, scale=0.3, rotation=15)
NETWORK = ModelConfig(**TINY | {"dropout": 0.3})
SIZES = ((16, 16), (20, 13), (9, 24), (17, 18), (24, 10), (12, 16), (16, 20), (10, 10), (14, 22))
"""Sizes of nine scenes. Two scenes are held out, so an epoch has seven batches of one scene each."""


class Killed(Exception):  # noqa: N818  # an event of the test
    """Error that stops a training as a kill would, so that no further file is written."""


class KillAt(L.Callback):
    """Raise Killed before a batch, counted from 0 over the run."""

    def __init__(self, batch: int) -> None:
        self.batch = batch

    def on_train_batch_start(self, trainer: L.Trainer, *_: object) -> None:
        if trainer.fit_loop.total_batch_idx == self.batch:
            raise Killed


class SigkillAt(KillAt):
    """Send SIGKILL before a batch, for a training in a separate process."""

    def on_train_batch_start(self, trainer: L.Trainer, *more: object) -> None:
        try:
            super().on_train_batch_start(trainer, *more)
        except Killed:
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass
class Case:
    """Settings of a training; each run creates new objects."""

    root: Path
    callbacks: Callable[[], list[L.Callback]] = list
    task: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    trainer: dict[str, Any] = field(default_factory=dict)
    best: dict[str, Any] = field(default_factory=dict)
    every_steps: int | None = 2
    kind: type[CroplandTask] = CroplandTask
    seen: list[tuple[int, list[str], float]] = field(default_factory=list)

    def run(self, folder: Path, kill_at: int | None = None, resumed: Path | None = None, seed: int = 1) -> Path:
        """Train, and return the path of the last checkpoint.

        Args:
            folder: Folder for checkpoints.
            kill_at: Batch before which the training is killed; None for no kill.
            resumed: Checkpoint to resume from; None to start from scratch.
            seed: Seed of the random state at the start; a resumed run must not depend on it.
        """
        torch.manual_seed(seed)
        settings = {"augmentation": AUGMENTATION, "seed": 3, **self.data}
        data = CroplandDataModule(root=self.root, **settings)
        task = self.kind(bands=3, model=NETWORK, **self.task)
        task.fill_normalization(data.statistics.mean, data.statistics.std)
        last = LastCheckpoint(dirpath=str(folder), every_steps=self.every_steps)
        wanted = {"filename": "best", "monitor": "val/iou", **self.best}
        best = BestCheckpoint(folder, mode="max", enable_version_counter=False, **wanted)
        stop = [] if kill_at is None else [KillAt(kill_at)]
        settings = {"max_epochs": 2, **self.trainer}
        kept = [last] if settings.get("limit_val_batches") == 0 else [best, last]
        callbacks = [*self.callbacks(), *stop, Sight(self.seen), ExactResume(), *kept]
        trainer = quiet_trainer(callbacks, enable_checkpointing=True, plugins=[AtomicCheckpointIO()], **settings)
        try:
            trainer.fit(task, data, ckpt_path=resumed, weights_only=True if resumed else None)
        except Killed:
            assert kill_at is not None
        else:
            assert kill_at is None
        return folder / "last.ckpt"

    def run_killed_at(self, folder: Path, *batches: int) -> Path:
        """Train with a kill before each of these batches; after each kill, resume with another random state."""
        resumed = None
        for seed, batch in enumerate((*batches, None), start=1):
            last = self.run(folder, batch, resumed, seed)
            resumed = last
        return last


class Sight(L.Callback):
    """Record epoch, names and sum of pixels of each batch."""

    def __init__(self, seen: list[tuple[int, list[str], float]]) -> None:
        self.seen = seen

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: dict[str, Any], batch_idx: int
    ) -> None:
        self.seen.append((trainer.current_epoch, batch["name"], float(batch["image"].double().sum())))


def content(path: Path) -> dict[str, Any]:
    """Content of a checkpoint without times, paths and scores, since training does not depend on these."""
    found = torch.load(path, weights_only=True)
    found["callbacks"] = {name: state for name, state in found["callbacks"].items() if "Checkpoint" not in name}
    found["epochs"] = found.pop("loops")["fit_loop"]["epoch_progress"]["current"]
    return {name: value for name, value in found.items() if name not in ("metrics", "calibration")}


def differences(first: object, second: object, name: str = "") -> list[str]:
    """Names of values that are not bit-identical."""
    if isinstance(first, dict) and isinstance(second, dict):
        if first.keys() != second.keys():
            return [f"{name}: {sorted(map(str, first.keys() ^ second.keys()))}"]
        return [found for key in first for found in differences(first[key], second[key], f"{name}.{key}")]
    if isinstance(first, list | tuple) and isinstance(second, list | tuple) and len(first) == len(second):
        pairs = enumerate(zip(first, second, strict=True))
        return [found for index, (one, other) in pairs for found in differences(one, other, f"{name}.{index}")]
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        return [] if torch.equal(first, second) else [name]
    return [] if first == second else [f"{name}: {first} and {second}"]
