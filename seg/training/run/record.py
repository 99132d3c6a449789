"""Record of a run in its folder: its configuration, versions, data and result."""

import math
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
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.trainer import Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException

import seg
from seg import __version__
from seg.files import complete_or_absent, write_json, writing
from seg.training.progress import is_trial
from seg.training.run.folder import CONFIG, RUN_RECORD

RUNNING, FINISHED, INTERRUPTED, FAILED = "running", "finished", "interrupted", "failed"

LIBRARIES = ("torch", "lightning", "numpy", "rasterio", "albumentations", "segmentation-models-pytorch", "torchmetrics")
"""Libraries whose versions are recorded."""

GIT_TIMEOUT_S = 10
"""Longest time in seconds that git may take; on a slow network drive, git may take minutes. If git takes longer than
this limit, the record gets no revision."""


class RunConfig(SaveConfigCallback):
    """Write the complete configuration of a training to its folder, so that the run can be repeated or scored.

    The file does not name the checkpoint of a resumed run, so that a repetition starts from scratch. The file is
    complete or absent, because `check_run_folder` recognises the folder of a killed run by this file.
    """

    def setup(self, trainer: Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Write the file for a training, but not for validation or test."""
        if stage == "fit":
            self.config = self.config.clone()
            self.config.pop("ckpt_path", None)
            self._folder = Path(trainer.log_dir or trainer.default_root_dir)  # the same in all processes
            super().setup(trainer, pl_module, stage)

    def save_config(self, trainer: Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Write the file."""
        path = self._folder / CONFIG
        with writing(path):
            self._folder.mkdir(parents=True, exist_ok=True)
        with complete_or_absent(path) as unfinished:
            unfinished.write_text(self.parser.dump(self.config, skip_none=False), encoding="utf-8")


class RunRecord(L.Callback):
    """Write `run.json` when a training starts, and complete it when it ends.

    The record holds state, start and end, command line, seed, versions, code revision, devices and dataset. When the
    training ends, the best score and its checkpoint are added. If the process is killed, the state stays "running".
    List this callback after callbacks that may fail.

    Args:
        command: Words of the command line.
        seed: Seed of the run, or None.
        dataset: Function that returns a description of the dataset as plain values; it is called when training starts.
            None for no description.
        resumed_from: Checkpoint that the run resumes from, or None.

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
        """Write the record with state "running"."""
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
        """Record that the run has finished."""
        self._finish(trainer, FINISHED)

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Record an interruption or an error."""
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
            with writing(path):
                path.parent.mkdir(parents=True, exist_ok=True)
            write_json(self._record, path)
        except OSError as error:
            # A training goes on without its record.
            print(f"note: {error}", file=sys.stderr)


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def best_checkpoint(trainer: L.Trainer) -> dict[str, object] | None:
    """`monitor`, `score` and `checkpoint` of the best weights so far; None until a checkpoint has a score."""
    for callback in trainer.checkpoint_callbacks:
        if isinstance(callback, ModelCheckpoint) and callback.monitor and callback.best_model_path:
            score = float("nan") if callback.best_model_score is None else float(callback.best_model_score)
            return {
                "monitor": callback.monitor,
                "score": score if math.isfinite(score) else None,
                "checkpoint": str(callback.best_model_path),
            }
    return None


def versions() -> dict[str, str | None]:
    """Versions by name: this project, Python, libraries, GDAL, and CUDA if a GPU is available."""
    return {
        "cropland-seg": __version__,
        "python": platform.python_version(),
        **{name: _version(name) for name in LIBRARIES},
        "gdal": rasterio.__gdal_version__,
        "cuda": torch.version.cuda if torch.cuda.is_available() else None,
    }


def git_revision(file: Path) -> dict[str, str | bool] | None:
    """Git `revision` of a source file, and `dirty` if tracked files have changed; None if git does not track the file.

    Args:
        file: A source file.
    """
    # A file within a repository's folder may be untracked, for example in a virtual environment.
    if _git(file.parent, "ls-files", "--error-unmatch", file.name) is None:
        return None
    revision = _git(file.parent, "rev-parse", "HEAD")
    changes = _git(file.parent, "status", "--porcelain", "--untracked-files=no")
    if not revision or changes is None:
        return None
    return {"revision": revision, "dirty": bool(changes)}


def device_name(device: torch.device) -> str:
    """Name of a GPU, such as "NVIDIA H100", or type, architecture and core count of a processor."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} ({platform.machine()}, {os.cpu_count()} cores)"


def _git(folder: Path, *words: str) -> str | None:
    """Output of a git command; None if git is missing, fails or takes too long."""
    # Optional locks are off, so that this call never blocks a commit.
    environment = os.environ | {"GIT_OPTIONAL_LOCKS": "0"}
    command = ["git", "-C", str(folder), *words]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=GIT_TIMEOUT_S, env=environment, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None
