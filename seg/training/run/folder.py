"""The folder of a run: which one may be used, and how an earlier run in it is kept."""

from pathlib import Path

import lightning as L

from seg.errors import ConfigError

METRICS = "metrics.csv"
CONFIG = "config.yaml"
RUN_RECORD = "run.json"
LEARNING_CURVES = "learning_curves.png"
PANELS = "panels"


def last_checkpoint(folder: str | None, root: str) -> Path:
    """Where the last checkpoint of a run lies: in the folder that was asked for, or in that of the run."""
    return Path(folder or Path(root) / "checkpoints") / "last.ckpt"


def check_run_folder(root: Path) -> None:
    """Refuse a folder that holds anything but a run, so that no data are written over or moved.

    Raises:
        ConfigError: It is a file, holds something else, or is where the command was called.
    """
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return
    of_a_run = (root / "checkpoints").is_dir() or any(root.glob("events.out.tfevents.*"))
    if not (root / METRICS).is_file() and not ((root / CONFIG).is_file() and of_a_run):
        raise ConfigError(
            f"trainer.default_root_dir is {root}, which is not empty and holds no run ({METRICS}, or {CONFIG} with "
            "checkpoints/); wanted a new or empty folder, or that of an earlier run"
        )
    if Path.cwd().is_relative_to(root):
        raise ConfigError(f"trainer.default_root_dir is {root}, the current folder or above it; choose another")


def metrics_files(root: Path) -> list[Path]:
    """The metrics of a run in the order they were written: those kept when it was resumed, then the last.

    Args:
        root: The run's folder.
    """
    stem, suffix = Path(METRICS).stem, Path(METRICS).suffix
    numbers = (path.name.removeprefix(f"{stem}.").removesuffix(suffix) for path in root.glob(f"{stem}.*{suffix}"))
    kept = [root / f"{stem}.{number}{suffix}" for number in sorted(int(text) for text in numbers if text.isdigit())]
    return [path for path in (*kept, root / METRICS) if path.is_file()]


def keep_earlier_of_resumed(root: Path) -> None:
    """Move what one process alone writes, metrics and record, out of the way of a run that goes on in its folder.

    Args:
        root: The run's folder.
    """
    keep_earlier(root / METRICS)
    keep_earlier(root / RUN_RECORD)


def keep_earlier(path: Path) -> None:
    """Move what an earlier run wrote out of the way of a new one, so that nothing is lost.

    Args:
        path: The folder of a run, which `check_run_folder` let pass,
            or the metrics file of one that is resumed; Lightning would delete its lines.
    """
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    number = 1
    while (kept := path.with_name(f"{path.stem}.{number}{path.suffix}")).exists():
        number += 1
    path.rename(kept)
    print(f"{path}: was there already; what an earlier run wrote is now {kept}")


def is_trial(trainer: L.Trainer) -> bool:
    """Whether the trainer only tries whether everything runs (`fast_dev_run`), which is to leave nothing behind."""
    return bool(getattr(trainer, "fast_dev_run", False))  # its classes do not declare it
