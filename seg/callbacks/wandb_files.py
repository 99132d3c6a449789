"""Give Weights & Biases the model and the files of a run when it ends."""

import sys
from pathlib import Path

import lightning as L
from lightning.pytorch.loggers import WandbLogger

from seg.callbacks.run_record import best_checkpoint
from seg.run_folder import CONFIG, LEARNING_CURVES, RUN_RECORD, metrics_files
from seg.tracking.wandb_run import add_model, add_run_files, end_wandb


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
