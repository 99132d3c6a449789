"""Folder of a run: its files, whether a training may use it, and how an earlier run in it is kept."""

from pathlib import Path

from seg.errors import ConfigError

METRICS = "metrics.csv"
CONFIG = "config.yaml"
RUN_RECORD = "run.json"
LEARNING_CURVES = "learning_curves.png"
PANELS = "panels"


def check_run_folder(root: Path) -> None:
    """Reject a folder with other content than a run, so that no data are overwritten or moved.

    Raises:
        ConfigError: It is a file, holds something else, or contains the current folder.
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
        raise ConfigError(
            f"trainer.default_root_dir is {root}, which is or contains the current folder; choose another one"
        )


def metrics_files(root: Path) -> list[Path]:
    """Metrics files of a run in the order in which they were written: those before each resumption, then the last."""
    stem, suffix = Path(METRICS).stem, Path(METRICS).suffix
    numbers = (path.name.removeprefix(f"{stem}.").removesuffix(suffix) for path in root.glob(f"{stem}.*{suffix}"))
    kept = [root / f"{stem}.{number}{suffix}" for number in sorted(int(text) for text in numbers if text.isdigit())]
    return [path for path in (*kept, root / METRICS) if path.is_file()]


def keep_earlier(path: Path) -> None:
    """Rename the folder or a file of an earlier run by the first free number, so that a new run overwrites nothing.

    Args:
        path: A run's folder that passed `check_run_folder`, or one of its files. An empty folder keeps its name.
    """
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    number = 1
    while (kept := path.with_name(f"{path.stem}.{number}{path.suffix}")).exists():
        number += 1
    path.rename(kept)
    print(f"moved {path} of an earlier run to {kept}")


def keep_earlier_of_resumed(root: Path) -> None:
    """Rename the metrics and the record of a run that resumes in its folder; Lightning would delete the metrics."""
    keep_earlier(root / METRICS)
    keep_earlier(root / RUN_RECORD)
