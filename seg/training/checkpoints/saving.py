"""Writing of the best and the last checkpoint of a training, and reading of the last checkpoint to resume."""

import contextlib
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lightning as L
from lightning.pytorch.callbacks import Checkpoint as CheckpointCallback
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor

from seg.errors import ConfigError, PackageError, WriteError
from seg.package.checkpoint import Checkpoint, read_checkpoint
from seg.training.checkpoints.atomic_io import remove_leftovers, write_failure
from seg.training.progress import ends_epoch, is_trial


def last_checkpoint(folder: str | None, root: str) -> Path:
    """Path of a run's last checkpoint in `folder`; None for the folder `checkpoints` in the run's folder `root`."""
    return Path(folder or Path(root) / "checkpoints") / "last.ckpt"


def read_last(path: Path) -> Checkpoint:
    """Read the last checkpoint of a run. If the file is damaged, print a note and read the newest intact checkpoint.

    Args:
        path: Path of the last checkpoint.

    Raises:
        PackageError: No checkpoint is intact; the message describes the last checkpoint.
    """
    try:
        return read_checkpoint(path)
    except PackageError as error:
        others = [other for other in path.parent.glob("*.ckpt") if other != path and other.is_file()]
        for other in sorted(others, key=lambda other: other.stat().st_mtime, reverse=True):
            with contextlib.suppress(PackageError):
                found = read_checkpoint(other)
                print(f"note: {error}; using {other} instead", file=sys.stderr)
                return found
        raise


class LastCheckpoint(CheckpointCallback):
    """Write `last.ckpt` after every epoch, and also within epochs at intervals of minutes or optimiser steps.

    Within an epoch, a checkpoint is written right after an optimiser step, since checkpoints do not hold accumulated
    gradients. At the end of an epoch, the checkpoint is written after the validation. Lightning's ModelCheckpoint would
    also write between two steps and before the validation.

    Args:
        dirpath: Folder for the checkpoint; null for `checkpoints/` in the run's folder.
        every_minutes: Minutes between two checkpoints within an epoch, above 0; null for no such interval.
        every_steps: Optimiser steps between two checkpoints, counted from the start of the run; null for no such
            interval.

    Raises:
        ConfigError: A number is out of range.
        WriteError: The first or the final checkpoint of a training cannot be written.

    Example:
        Trainer(callbacks=[LastCheckpoint(every_steps=500)])
    """

    def __init__(
        self, *, dirpath: str | None = None, every_minutes: float | None = 30.0, every_steps: int | None = None
    ) -> None:
        if every_minutes is not None and not every_minutes > 0:
            raise ConfigError(f"last_checkpoint.every_minutes is {every_minutes:g}; wanted above 0, or null")
        if every_steps is not None and every_steps < 1:
            raise ConfigError(f"last_checkpoint.every_steps is {every_steps}; wanted 1 or more, or null")
        self.dirpath, self.every_minutes, self.every_steps = dirpath, every_minutes, every_steps
        self._path = Path()
        self._step = 0
        self._written = 0.0

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Resolve the folder, and delete unfinished checkpoints of a killed training."""
        self._path = last_checkpoint(self.dirpath, trainer.default_root_dir)
        if stage == "fit" and trainer.is_global_zero:
            remove_leftovers(self._path.parent)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start counting steps and minutes."""
        self._step, self._written = trainer.global_step, time.monotonic()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Write a checkpoint if one is due and this batch completed a step."""
        before, self._step = self._step, trainer.global_step
        if self._step > before and not ends_epoch(trainer, batch_idx) and self._is_due(trainer):
            self._write(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write a checkpoint."""
        self._write(trainer)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Raise an error if the final checkpoint was not written."""
        failure = write_failure(trainer)
        if failure is not None:
            raise WriteError(
                f"{failure}; the end of the training is lost, so free disk space and resume from the "
                "previous checkpoint with --ckpt_path=last"
            )

    def _is_due(self, trainer: L.Trainer) -> bool:
        if self.every_steps and trainer.global_step % self.every_steps == 0:
            return True
        if self.every_minutes is None:
            return False
        late = time.monotonic() - self._written >= 60 * self.every_minutes
        return bool(trainer.strategy.broadcast(late))  # clocks differ, but all processes must write at the same step

    def _write(self, trainer: L.Trainer) -> None:
        if not is_trial(trainer):
            trainer.save_checkpoint(self._path)
            self._written = time.monotonic()


class BestCheckpoint(ModelCheckpoint):
    """ModelCheckpoint that keeps the previous best checkpoint and score if a write fails.

    Lightning's class would record the checkpoint that failed as the best one and delete the previous file.
    """

    def _save_topk_checkpoint(self, trainer: L.Trainer, monitor_candidates: dict[str, Tensor]) -> None:
        with self._undo_unless_written():
            super()._save_topk_checkpoint(trainer, monitor_candidates)

    def _save_last_checkpoint(self, trainer: L.Trainer, monitor_candidates: dict[str, Tensor]) -> None:
        with self._undo_unless_written():
            super()._save_last_checkpoint(trainer, monitor_candidates)

    def _save_checkpoint(self, trainer: L.Trainer, filepath: str) -> None:
        super()._save_checkpoint(trainer, filepath)
        if trainer.strategy.broadcast(write_failure(trainer) is not None):  # only the first process writes
            raise _NotWrittenError

    @contextmanager
    def _undo_unless_written(self) -> Iterator[None]:
        before = {**vars(self), "best_k_models": dict(self.best_k_models)}
        try:
            yield
        except _NotWrittenError:
            vars(self).update(before)


class _NotWrittenError(Exception):
    """A checkpoint was not written."""
