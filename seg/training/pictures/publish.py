"""Put a picture where a run's pictures are looked for: its folder, TensorBoard, Weights & Biases."""

from pathlib import Path
from typing import TYPE_CHECKING

import lightning as L
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger

from seg.training.pictures.figures import rendered, write_png
from seg.training.run.folder import PANELS, is_trial

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def publish(figure: "Figure", name: str, trainer: L.Trainer) -> None:
    """Write a figure to `<run>/panels/<name>/epoch_0001.png` and give it to the trainer's loggers.

    Args:
        figure: What was drawn after the trainer's current epoch.
        name: What it shows; the same in every epoch.
        trainer: Whose run it is.

    Raises:
        OSError: It cannot be written.
    """
    pixels = rendered(figure)
    path = Path(trainer.default_root_dir) / PANELS / name / f"epoch_{trainer.current_epoch + 1:04d}.png"
    write_png(pixels, path)
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.add_image(f"{PANELS}/{name}", pixels, trainer.global_step, dataformats="HWC")
        elif isinstance(logger, WandbLogger):
            logger.log_image(f"{PANELS}/{name}", [str(path)], trainer.global_step)


def is_due(trainer: L.Trainer, every_epochs: int) -> bool:
    """Whether this validation of a training is one whose pictures are kept: each so many epochs, and the last.

    Args:
        trainer: Whose run it is.
        every_epochs: Epochs from one to the next; 0 keeps those of the last alone.
    """
    if trainer.state.fn != "fit" or trainer.sanity_checking or is_trial(trainer):
        return False
    epochs, steps = trainer.max_epochs or -1, trainer.max_steps
    done = trainer.current_epoch + 1
    is_last = trainer.should_stop or 0 < epochs <= done or 0 < steps <= trainer.global_step
    return is_last or (every_epochs > 0 and done % every_epochs == 0)
