"""Folder of a run: names of its files, checks before a training, and renaming of an earlier run."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path

import lightning as L
from lightning.pytorch.callbacks import Callback

from seg.errors import ClaimError, ConfigError
from seg.files import CLAIM, FULL_DISK, UNFINISHED, claimed, read_json, writing

METRICS = "metrics.csv"
CONFIG = "config.yaml"
CONFIG_HEADER = b"# lightning.pytorch=="
"""Beginning of a configuration that Lightning's command line wrote; Lightning's version follows."""

RUN_RECORD = "run.json"
LEARNING_CURVES = "learning_curves.png"
PANELS = "panels"


def check_run_folder(root: Path) -> None:
    """Reject a folder whose files are not those of a run, so that no data are overwritten or moved.

    Raises:
        ConfigError: The path is a file, or the folder holds other files or contains the current folder.
    """
    if not root.exists() or (root.is_dir() and _is_empty(root)):
        return
    has_run_files = (root / "checkpoints").is_dir() or any(root.glob("events.out.tfevents.*"))
    has_config = (root / CONFIG).is_file() and (has_run_files or _is_of_a_run(root / CONFIG))
    if not (root / METRICS).is_file() and not has_config and not _is_record(root / RUN_RECORD):
        raise ConfigError(
            f"trainer.default_root_dir is {root}, which is not empty and holds no run ({METRICS}, or {CONFIG} with "
            "checkpoints/); wanted a new or empty folder, or the folder of an earlier run"
        )
    if Path.cwd().is_relative_to(root):
        raise ConfigError(
            f"trainer.default_root_dir is {root}, which is or contains the current folder; choose another folder"
        )


def metrics_files(root: Path) -> list[Path]:
    """Metrics files of a run in the order of writing: one for each earlier part of the run, then the current file."""
    stem, suffix = Path(METRICS).stem, Path(METRICS).suffix
    numbers = (path.name.removeprefix(f"{stem}.").removesuffix(suffix) for path in root.glob(f"{stem}.*{suffix}"))
    kept = [root / f"{stem}.{number}{suffix}" for number in sorted(int(text) for text in numbers if text.isdigit())]
    return [path for path in (*kept, root / METRICS) if path.is_file()]


def keep_earlier(path: Path) -> None:
    """Append the first free number to the name of an earlier run's folder or file, so that nothing is overwritten.

    Args:
        path: A run's folder that passed `check_run_folder`, or a file in it. An empty folder keeps its name.
    """
    if not path.exists() or (path.is_dir() and _is_empty(path)):
        return
    number = 1
    while (kept := path.with_name(f"{path.stem}.{number}{path.suffix}")).exists():
        number += 1
    path.rename(kept)
    print(f"moved {path} of an earlier run to {kept}")


def _is_empty(folder: Path) -> bool:
    """True for a folder that holds at most a lock and unfinished files; a killed training can leave such a folder."""
    names = [path.name for path in folder.iterdir()]
    return all(name == CLAIM or (name.startswith(".") and name.endswith(UNFINISHED)) for name in names)


def _is_of_a_run(config: Path) -> bool:
    """True if a configuration begins as Lightning writes it; a run killed early may have no other file."""
    with config.open("rb") as file:
        return file.readline(100).startswith(CONFIG_HEADER)


def _is_record(path: Path) -> bool:
    """True if a file has the keys of a run's record; a run killed at its beginning may have no other file."""
    try:
        record = read_json(path)
    except (OSError, ValueError):
        return False
    return isinstance(record, dict) and record.keys() >= {"state", "command", "versions"}


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
def taken_folder(root: Path, resumes: bool, first_step: FirstStep) -> Iterator[None]:
    """Lock a run's folder while a `with` block runs, and rename files of an earlier run that would be overwritten.

    A new run renames the whole folder of an earlier run. A resumed run renames the metrics and the record that it wrote
    before. If a resumed run fails before its first step, the files in the folder are restored.

    Args:
        root: The run's folder; created if it is missing.
        resumes: True if the training resumes the run in the folder.
        first_step: A callback of the training.

    Raises:
        ConfigError: Another training uses the folder.
        WriteError: The disk is full.
    """
    if resumes:
        with _claimed_run(root), _unchanged_if_refused(root, first_step):
            _remove_unfinished(root)
            keep_earlier(root / METRICS)  # Lightning would delete the metrics file.
            keep_earlier(root / RUN_RECORD)
            with _named_if_full(root):
                yield
    else:
        with _claimed_run(root):
            pass  # Raises if a training is running here, so that its folder is not moved.
        keep_earlier(root)
        with _claimed_run(root), _named_if_full(root):
            yield


def remove_unfinished(root: Path) -> None:
    """Remove unfinished files that a killed training left in a run's folder, unless another training uses the folder.

    Args:
        root: The run's folder.
    """
    with suppress(ConfigError, OSError), _claimed_run(root):
        _remove_unfinished(root)


def _remove_unfinished(root: Path) -> None:
    """Remove the temporary folders of unfinished files that a killed training left.

    The caller holds the lock of the run's folder.
    """
    for left in sorted(root.rglob(f".*{UNFINISHED}")):
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)


@contextmanager
def _unchanged_if_refused(root: Path, first_step: FirstStep) -> Iterator[None]:
    """Run a `with` block; if it fails before the first step of a training, restore the files of the run's folder.

    Lightning writes configuration and logs before it loads a checkpoint. If the checkpoint does not fit, the run would
    lose its earlier configuration.

    Args:
        root: The run's folder, already locked for this training.
        first_step: A callback of the training.
    """
    earlier = {path: path.read_bytes() for path in _files(root)}
    try:
        yield
    except BaseException:
        if earlier and not first_step.taken:
            for path in _files(root):
                if path not in earlier:
                    path.unlink()
            for path, content in earlier.items():
                if not path.is_file() or path.read_bytes() != content:
                    path.write_bytes(content)
        raise


def _files(root: Path) -> list[Path]:
    return [path for path in root.iterdir() if path.is_file() and path.name != CLAIM]


@contextmanager
def _named_if_full(root: Path) -> Iterator[None]:
    """If the disk is full, raise an error that names the run's folder, since loggers do not name the file."""
    before = threading.excepthook

    def report(stopped: threading.ExceptHookArgs) -> None:
        """Print the error of a thread, unless the disk is full; the training itself meets this error soon after."""
        if not (isinstance(stopped.exc_value, OSError) and stopped.exc_value.errno in FULL_DISK):
            before(stopped)

    threading.excepthook = report  # TensorBoard writes in a thread
    try:
        yield
    except OSError as error:
        with writing(root) if error.errno in FULL_DISK else nullcontext():
            raise
    finally:
        threading.excepthook = before


@contextmanager
def taken_checkpoints(root: Path, trainer: L.Trainer) -> Iterator[None]:
    """Lock the checkpoint folders that lie outside the run's folder while a `with` block runs.

    Args:
        root: The run's folder.
        trainer: Trainer with its callbacks.

    Raises:
        ConfigError: Another training writes its checkpoints to one of the folders.
        WriteError: A folder cannot be made.
    """
    named = {str(getattr(callback, "dirpath", None) or root) for callback in trainer.checkpoint_callbacks}
    local = {Path(name).resolve() for name in named if "://" not in name}
    with ExitStack() as claims:
        for folder in sorted(local):
            if folder.is_relative_to(root):
                continue
            with writing(folder):
                folder.mkdir(parents=True, exist_ok=True)
            try:
                claims.enter_context(claimed(folder))
            except ClaimError as error:
                raise ConfigError(
                    f"checkpoint.dirpath is {folder}, where another training writes its checkpoints; wait for it to "
                    "end, or choose another folder"
                ) from error
        yield


@contextmanager
def _claimed_run(root: Path) -> Iterator[None]:
    """Lock a run's folder against a second training while a `with` block runs.

    Raises:
        ConfigError: Another training is running in the folder.
    """
    root.mkdir(parents=True, exist_ok=True)
    with ExitStack() as claim:
        try:
            claim.enter_context(claimed(root))
        except ClaimError as error:
            raise ConfigError(
                f"trainer.default_root_dir is {root}, where another training is running; wait for it to end, or choose "
                "another folder"
            ) from error
        yield
