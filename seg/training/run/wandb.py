"""Weights & Biases: one W&B run for each training run; its files are in the run's folder."""

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
"""Metric under which Lightning's logger logs the optimiser step."""


class RunLogger(WandbLogger):
    """Lightning's logger for a W&B run to which the complete configuration has already been written."""

    def log_hyperparams(self, params: object) -> None:
        """Log nothing, since the arguments of the task would overwrite configuration keys with the same names."""


def require_wandb(mode: Mode) -> None:
    """Check that W&B is installed.

    Raises:
        ConfigError: W&B is not installed.
    """
    if importlib.util.find_spec("wandb") is None:
        raise ConfigError(
            f"tracking.wandb is {mode}, but wandb is not installed; install it with pip install wandb, or leave "
            "tracking.wandb out"
        )


def start_wandb(root: Path, mode: Mode, project: str, config: Mapping[str, object]) -> WandbLogger:
    """Start a W&B run whose files are in `<run>/wandb/`; offline mode does not use the network.

    Args:
        root: The run's folder; its name is the name of the W&B run.
        mode: "offline" to upload later with `wandb sync`, "online" to upload during the run.
        project: Project of W&B.
        config: The resolved configuration, as plain values.

    Raises:
        ConfigError: W&B is not installed or does not start.
    """
    require_wandb(mode)
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    # W&B's data and cache are also written to the run's folder. In offline mode, no error reports are sent.
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
    """Add copies of existing files to a W&B run, as `run/<name>`."""
    folder = Path(run.dir) / RUN_FOLDER
    folder.mkdir(exist_ok=True)
    for file in files:
        if file.is_file():
            # W&B uploads a copy. A later run may change the original file before the upload.
            copied = shutil.copyfile(file, folder / file.name)
            run.save(str(copied), base_path=run.dir, policy="now")


def add_model(run: "Run", checkpoint: Path, metadata: Mapping[str, object]) -> None:
    """Add a checkpoint to a W&B run as its model artifact, `model-<id of the run>`.

    Args:
        run: The W&B run.
        checkpoint: The checkpoint. The W&B run's folder gets a copy, which `restore_local` can read without a server.
        metadata: Plain values, such as the score.
    """
    import wandb

    folder = Path(run.dir) / MODEL_FOLDER
    folder.mkdir(exist_ok=True)
    copied = shutil.copyfile(checkpoint, folder / checkpoint.name)
    artifact = wandb.Artifact(f"model-{run.id}", type="model", metadata=dict(metadata))
    artifact.add_file(str(copied), name=checkpoint.name, policy="immutable", skip_cache=True)
    run.log_artifact(artifact, aliases=["best"])


def end_wandb(run: "Run", exit_code: int) -> None:
    """End a W&B run, and wait until its files are written.

    Args:
        run: The W&B run.
        exit_code: 0 if the training succeeded.
    """
    import wandb

    run.finish(exit_code=exit_code)
    # In offline mode, `finish` does not wait for the writing process.
    wandb.teardown(exit_code=exit_code)


class WandbFiles(L.Callback):
    """Add the best checkpoint, configuration, record, metrics and curves to the W&B run, and end the W&B run.

    List this callback last, after the callbacks that write these files. If the training is interrupted or fails, the
    files that exist are added. An error of W&B is printed as one line on standard error, since the run's folder has the
    same files.

    Example:
        Trainer(logger=WandbLogger(), callbacks=[RunRecord(sys.argv, seed=0), WandbFiles()])
    """

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Add the files of a finished training."""
        _add_all(trainer, exit_code=0)

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Add the files that exist."""
        _add_all(trainer, exit_code=1)


def _add_all(trainer: L.Trainer, exit_code: int) -> None:
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
            print(f"note: the run's files were not added to W&B ({type(error).__name__}: {error})", file=sys.stderr)
