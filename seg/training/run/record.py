"""What a run was made of and how it ended, in its folder."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import lightning as L
import rasterio
import torch
from lightning import LightningModule
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.trainer import Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException

import seg
from seg import __version__
from seg.files import complete_or_absent
from seg.training.run.folder import RUN_RECORD, is_trial

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


class RunConfig(SaveConfigCallback):
    """Keep the whole configuration of a training in its folder, so that it can be run or judged again.

    Without the checkpoint it went on from: whoever takes the file up again did not ask for that.
    """

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write the file of a training; validation and test leave it alone."""
        if stage == "fit":
            self.config = self.config.clone()
            self.config.pop("ckpt_path", None)
            super().setup(trainer, pl_module, stage)


LIBRARIES = ("torch", "lightning", "numpy", "rasterio", "albumentations", "segmentation-models-pytorch", "torchmetrics")
PATIENCE_S = 10
"""A revision is asked for over a network drive too; longer than this, and the run goes without."""


def versions() -> dict[str, str | None]:
    """Versions by name: this project, Python, libraries, GDAL, and CUDA if PyTorch was built for it."""
    return {
        "cropland-seg": __version__,
        "python": platform.python_version(),
        **{name: _version(name) for name in LIBRARIES},
        "gdal": rasterio.__gdal_version__,
        "cuda": torch.version.cuda if torch.cuda.is_available() else None,
    }


def git_revision(file: Path) -> dict[str, str | bool] | None:
    """`revision` and whether tracked files are changed (`dirty`) of the repository that tracks a file; None without.

    Args:
        file: A source file.
    """
    # A file that lies in a repository need not belong to it: an installed package in an ignored folder does not.
    if _git(file.parent, "ls-files", "--error-unmatch", file.name) is None:
        return None
    revision = _git(file.parent, "rev-parse", "HEAD")
    changes = _git(file.parent, "status", "--porcelain", "--untracked-files=no")
    if not revision or changes is None:
        return None
    return {"revision": revision, "dirty": bool(changes)}


def write_record(record: Mapping[str, object], path: Path) -> None:
    """Write plain values as JSON, complete or not at all; the folder is made.

    Raises:
        OSError: It cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with complete_or_absent(path) as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def device_name(device: torch.device) -> str:
    """What a device is called, for example "NVIDIA H100", or the processor's architecture."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} ({platform.machine()}, {os.cpu_count()} cores)"


def _git(folder: Path, *words: str) -> str | None:
    """What git answers; None if it is missing, refuses or takes too long."""
    # Without locks: a look at the state must not stand in the way of a commit.
    environment = os.environ | {"GIT_OPTIONAL_LOCKS": "0"}
    command = ["git", "-C", str(folder), *words]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE_S, env=environment, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None
