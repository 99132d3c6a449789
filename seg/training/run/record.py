"""What a run was made of and how it ended, in its folder."""

import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import lightning as L
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities.exceptions import SIGTERMException

import seg
from seg.run_folder import RUN_RECORD
from seg.tracking.pictures import is_trial
from seg.tracking.provenance import device_name, git_revision, versions, write_record

RUNNING, FINISHED, INTERRUPTED, FAILED = "running", "finished", "interrupted", "failed"


class RunRecord(L.Callback):
    """Write `run.json` when a training starts, and complete it when it ends.

    It holds state, start and end, command line, seed, versions, revision of the code, devices, dataset, and at the end
    the best score with its checkpoint. A run that was killed stays "running". List it after callbacks that may fail.

    Args:
        command: The words of the command line.
        seed: Seed of the run, or None.
        dataset: Describes the dataset as plain values; called when training starts. None leaves it out.
        resumed_from: The checkpoint that the run goes on from, or None.

    Example:
        Trainer(callbacks=[RunRecord(sys.argv, seed=0)])
    """

    def __init__(
        self,
        command: list[str],
        seed: int | None,
        dataset: Callable[[], Mapping[str, object]] | None = None,
        resumed_from: str | None = None,
    ) -> None:
        self._command, self._seed, self._dataset = list(command), seed, dataset
        self._resumed_from = resumed_from
        self._started = datetime.now(UTC)
        self._record: dict[str, object] = {}

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Write what is known at the start."""
        if stage != "fit" or not trainer.is_global_zero or is_trial(trainer):
            return
        self._started = datetime.now(UTC)
        self._record = {
            "state": RUNNING,
            "error": None,
            "started": _iso(self._started),
            "ended": None,
            "duration_s": None,
            "command": self._command,
            "seed": self._seed,
            "resumed_from": self._resumed_from,
            "versions": versions(),
            "git": git_revision(Path(seg.__file__)),
            "devices": {
                "accelerator": trainer.strategy.root_device.type,
                "names": [device_name(trainer.strategy.root_device)],
                "processes": trainer.world_size,
                "precision": str(trainer.precision),
            },
            "dataset": dict(self._dataset()) if self._dataset else None,
            "epochs": None,
            "steps": None,
            "best": None,
        }
        self._write(trainer)

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Note the end."""
        self._finish(trainer, FINISHED)

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Note what ended it before its time."""
        stopped = isinstance(exception, (KeyboardInterrupt, SIGTERMException))
        reason = None if stopped else f"{type(exception).__name__}: {exception}"
        self._finish(trainer, INTERRUPTED if stopped else FAILED, reason)

    def _finish(self, trainer: L.Trainer, state: str, error: str | None = None) -> None:
        if not self._record:
            return
        ended = datetime.now(UTC)
        self._record |= {
            "state": state,
            "error": error,
            "ended": _iso(ended),
            "duration_s": round((ended - self._started).total_seconds(), 3),
            "epochs": trainer.current_epoch,
            "steps": trainer.global_step,
            "best": best_checkpoint(trainer),
        }
        self._write(trainer)

    def _write(self, trainer: L.Trainer) -> None:
        path = Path(trainer.default_root_dir) / RUN_RECORD
        try:
            write_record(self._record, path)
        except OSError as error:
            # The training itself may do without it.
            print(f"note: {path} was not written ({error.strerror or error})", file=sys.stderr)


def best_checkpoint(trainer: L.Trainer) -> dict[str, object] | None:
    """`monitor`, `score` and `checkpoint` of the best weights so far; None without any."""
    for callback in trainer.checkpoint_callbacks:
        if isinstance(callback, ModelCheckpoint) and callback.monitor and callback.best_model_path:
            score = callback.best_model_score
            return {
                "monitor": callback.monitor,
                "score": None if score is None else float(score),
                "checkpoint": str(callback.best_model_path),
            }
    return None


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
