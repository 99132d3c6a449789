"""Folder of a run: names of its files, checks before a training, and renaming of an earlier run."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lightning as L
from lightning.pytorch.callbacks import Callback

from seg.errors import ConfigError, RasterError
from seg.files import CLAIM, claimed

METRICS = "metrics.csv"
CONFIG = "config.yaml"
RUN_RECORD = "run.json"
LEARNING_CURVES = "learning_curves.png"
PANELS = "panels"


def check_run_folder(root: Path) -> None:
    """Reject a folder that holds other files than a run, so that no data are overwritten or moved.

    Raises:
        ConfigError: The path is a file, or the folder holds other files or contains the current folder.
    """
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return
    has_run_files = (root / "checkpoints").is_dir() or any(root.glob("events.out.tfevents.*"))
    if not (root / METRICS).is_file() and not ((root / CONFIG).is_file() and has_run_files):
        raise ConfigError(
            f"trainer.default_root_dir is {root}, which is not empty and holds no run ({METRICS}, or {CONFIG} with "
            "checkpoints/); wanted a new or empty folder, or the folder of an earlier run"
        )
    if Path.cwd().is_relative_to(root):
        raise ConfigError(
            f"trainer.default_root_dir is {root}, which is or contains the current folder; choose another folder"
        )


def metrics_files(root: Path) -> list[Path]:
    """Metrics files of a run in the order of writing: one for each resumption, then the current one."""
    stem, suffix = Path(METRICS).stem, Path(METRICS).suffix
    numbers = (path.name.removeprefix(f"{stem}.").removesuffix(suffix) for path in root.glob(f"{stem}.*{suffix}"))
    kept = [root / f"{stem}.{number}{suffix}" for number in sorted(int(text) for text in numbers if text.isdigit())]
    return [path for path in (*kept, root / METRICS) if path.is_file()]


def keep_earlier(path: Path) -> None:
    """Rename an earlier run's folder or file with the first free number, so that a new run overwrites nothing.

    Args:
        path: A run's folder that passed `check_run_folder`, or a file in it. An empty folder keeps its name.
    """
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    number = 1
    while (kept := path.with_name(f"{path.stem}.{number}{path.suffix}")).exists():
        number += 1
    path.rename(kept)
    print(f"moved {path} of an earlier run to {kept}")


def keep_files_of_resumed(root: Path) -> None:
    """Rename the metrics and the record of a resumed run, since Lightning would delete the metrics."""
    keep_earlier(root / METRICS)
    keep_earlier(root / RUN_RECORD)


class FirstStep(Callback):
    """Callback that records the first step of a training.

    Attributes:
        taken: True after the first batch.
    """

    def __init__(self) -> None:
        self.taken = False

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Note the step."""
        self.taken = True


@contextmanager
def unchanged_if_refused(root: Path, first_step: FirstStep) -> Iterator[None]:
    """Restore the files of a run's folder if the block fails before the first step of a training.

    Lightning writes configuration and logs before it loads a checkpoint. If the checkpoint does not fit, the run would
    lose its earlier configuration.

    Args:
        root: The run's folder.
        first_step: A callback of the training.
    """
    earlier = {path: path.read_bytes() for path in root.iterdir() if path.is_file()} if root.is_dir() else {}
    try:
        yield
    except BaseException:
        if earlier and not first_step.taken:
            for path in root.iterdir():
                if path.is_file() and path not in earlier and path.name != CLAIM:
                    path.unlink()
            for path, content in earlier.items():
                if not path.is_file() or path.read_bytes() != content:
                    path.write_bytes(content)
        raise


@contextmanager
def claimed_run(root: Path) -> Iterator[None]:
    """Lock a run's folder against a second training during a block.

    Raises:
        ConfigError: Another training is running in the folder.
    """
    root.mkdir(parents=True, exist_ok=True)
    try:
        with claimed(root):
            yield
    except RasterError as error:
        if str(error).startswith(f"{root}: another process"):
            raise ConfigError(
                f"trainer.default_root_dir is {root}, where another training is running; wait for it to end, or choose "
                "another folder"
            ) from error
        raise
