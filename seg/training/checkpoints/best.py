"""Checkpoints with the best scores."""

from collections.abc import Iterator
from contextlib import contextmanager

import lightning as L
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor

from seg.training.checkpoints.atomic_io import write_failure


class BestCheckpoint(ModelCheckpoint):
    """ModelCheckpoint that keeps the previous best checkpoint and score if a write fails.

    Lightning would record the failed checkpoint as the best and delete the previous file.
    """

    def _save_topk_checkpoint(self, trainer: L.Trainer, monitor_candidates: dict[str, Tensor]) -> None:
        with self._undone_unless_written():
            super()._save_topk_checkpoint(trainer, monitor_candidates)

    def _save_last_checkpoint(self, trainer: L.Trainer, monitor_candidates: dict[str, Tensor]) -> None:
        with self._undone_unless_written():
            super()._save_last_checkpoint(trainer, monitor_candidates)

    def _save_checkpoint(self, trainer: L.Trainer, filepath: str) -> None:
        super()._save_checkpoint(trainer, filepath)
        if trainer.strategy.broadcast(write_failure(trainer) is not None):  # only the first process writes
            raise _NotWrittenError

    @contextmanager
    def _undone_unless_written(self) -> Iterator[None]:
        before = {**vars(self), "best_k_models": dict(self.best_k_models)}
        try:
            yield
        except _NotWrittenError:
            vars(self).update(before)


class _NotWrittenError(Exception):
    """A checkpoint was not written."""
