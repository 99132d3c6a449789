"""A run of Weights & Biases beside one of training, with its files in the run's folder."""

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import lightning as L
from lightning.pytorch.loggers import WandbLogger

from seg.errors import ConfigError
from seg.training.run.folder import (
    CONFIG,
    LEARNING_CURVES,
    RUN_RECORD,
    metrics_files,
)
from seg.training.run.record import best_checkpoint

if TYPE_CHECKING:
    from wandb import Run

Mode = Literal["offline", "online"]

FOLDER = "wandb"
MODEL_FOLDER = "model"
RUN_FOLDER = "run"
STEP = "trainer/global_step"
"""By this name Lightning's logger counts steps."""


class RunLogger(WandbLogger):
    """Lightning's logger, of a run that has the whole configuration already."""

    def log_hyperparams(self, params: object) -> None:
        """Leave the configuration: the task's arguments would go over its keys of the same names."""


def require_wandb(mode: Mode) -> None:
    """Refuse to track with a library that is not installed.

    Raises:
        ConfigError: It is not.
    """
    if importlib.util.find_spec("wandb") is None:
        raise ConfigError(
            f"tracking.wandb is {mode}, but wandb is not installed; install it with pip install wandb, or leave "
            "tracking.wandb out"
        )


def start_wandb(root: Path, mode: Mode, project: str, config: Mapping[str, object]) -> WandbLogger:
    """The logger of a new W&B run, whose files lie in `<run>/wandb/`; offline, nothing reaches for the network.

    Args:
        root: The run's folder; it gives the W&B run its name.
        mode: Whether it is only written down, to be uploaded by `wandb sync`, or uploaded at once.
        project: Of W&B.
        config: The resolved configuration, as plain values.

    Raises:
        ConfigError: It is not installed, or W&B refuses.
    """
    require_wandb(mode)
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    # What W&B keeps for itself goes into the run's folder too, and offline its reports of its own errors go nowhere.
    for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR"):
        os.environ.setdefault(name, str(folder))
    if mode == "offline":
        os.environ["WANDB_ERROR_REPORTING"] = "false"
    import wandb

    settings = wandb.Settings(console="off", silent=mode == "offline", save_code=False)
    if mode == "online":
        settings.init_timeout = 60
    try:
        run = wandb.init(
            project=project, name=root.name, dir=str(root), mode=mode, config=dict(config), settings=settings
        )
    except (wandb.errors.Error, OSError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"tracking.wandb is {mode}, but W&B does not start ({reason}); run wandb login, or use "
            "--tracking.wandb=offline and upload later with wandb sync"
        ) from error
    run.define_metric(STEP)
    run.define_metric("*", step_metric=STEP, step_sync=True)
    return RunLogger(experiment=run, project=project, save_dir=str(root))


def add_run_files(run: "Run", files: Iterable[Path]) -> None:
    """Give a W&B run copies of files, as `run/<name>`; those that do not exist are left out."""
    folder = Path(run.dir) / RUN_FOLDER
    folder.mkdir(exist_ok=True)
    for file in files:
        if file.is_file():
            # A copy, for W&B itself would link to the file, which a later run may change before it is uploaded.
            copied = shutil.copyfile(file, folder / file.name)
            run.save(str(copied), base_path=run.dir, policy="now")


def add_model(run: "Run", checkpoint: Path, metadata: Mapping[str, object]) -> None:
    """Give a W&B run a checkpoint as its model artifact, `model-<id of the run>`.

    Args:
        run: The W&B run.
        checkpoint: The file; a copy lies among the run's files, so that it is there without the server too.
        metadata: Plain values, such as its score.
    """
    import wandb

    folder = Path(run.dir) / MODEL_FOLDER
    folder.mkdir(exist_ok=True)
    copied = shutil.copyfile(checkpoint, folder / checkpoint.name)
    artifact = wandb.Artifact(f"model-{run.id}", type="model", metadata=dict(metadata))
    artifact.add_file(str(copied), name=checkpoint.name, policy="immutable", skip_cache=True)
    run.log_artifact(artifact, aliases=["best"])


def end_wandb(run: "Run", exit_code: int) -> None:
    """End a W&B run, and wait until all of it is written.

    Args:
        run: The W&B run.
        exit_code: 0 if the training did what it should.
    """
    import wandb

    run.finish(exit_code=exit_code)
    # Offline, `finish` does not wait for the process that writes.
    wandb.teardown(exit_code=exit_code)


class WandbFiles(L.Callback):
    """Log the best checkpoint as an artifact, with configuration, record, metrics and curves, and end the W&B run.

    List it last: the others write what it takes. A training that is interrupted or fails gives what it has. What goes
    wrong with W&B is a line on standard error, since the same files lie in the run's folder.

    Example:
        Trainer(logger=WandbLogger(), callbacks=[RunRecord(sys.argv, seed=0), WandbFiles()])
    """

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Hand them over."""
        _hand_over(trainer, exit_code=0)

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Hand over what there is."""
        _hand_over(trainer, exit_code=1)


def _hand_over(trainer: L.Trainer, exit_code: int) -> None:
    if trainer.state.fn != "fit" or not trainer.is_global_zero:
        return
    root = Path(trainer.default_root_dir)
    for logger in trainer.loggers:
        if not isinstance(logger, WandbLogger):
            continue
        try:
            run = logger.experiment
            add_run_files(run, [root / CONFIG, root / RUN_RECORD, root / LEARNING_CURVES, *metrics_files(root)])
            best = best_checkpoint(trainer)
            if best is not None and Path(str(best["checkpoint"])).is_file():
                add_model(run, Path(str(best["checkpoint"])), best)
            end_wandb(run, exit_code)
        except Exception as error:
            print(f"note: W&B did not take the run's files ({type(error).__name__}: {error})", file=sys.stderr)
