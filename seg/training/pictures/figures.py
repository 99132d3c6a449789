"""Style and output of figures: PNG files in the run's folder, TensorBoard, Weights & Biases."""

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import lightning as L
import numpy as np
import numpy.typing as npt
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger

from seg.files import complete_or_absent, writing
from seg.raster.pictures.figures import DPI
from seg.training.progress import is_last_validation, is_trial
from seg.training.run.folder import PANELS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GRID_COLOUR = "#d9d9d9"
TEXT_COLOUR = "#333333"

Pixels = npt.NDArray[np.uint8]


def plain_axes(axes: "Axes") -> None:
    """Style axes with a light grid and only the left and bottom spines."""
    axes.grid(color=GRID_COLOUR, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(TEXT_COLOUR)
    axes.tick_params(colors=TEXT_COLOUR)


def rendered(figure: "Figure") -> Pixels:
    """Pixels of a figure, (H, W, 3)."""
    content = BytesIO()
    figure.savefig(content, format="rgba", dpi=DPI)
    width, height = figure.canvas.get_width_height()
    pixels = np.frombuffer(content.getvalue(), dtype=np.uint8).reshape(height, width, 4)
    return np.ascontiguousarray(pixels[..., :3])


def write_png(pixels: Pixels, path: Path) -> None:
    """Write (H, W, 3) pixels as a PNG, complete or absent; creates the folder.

    Raises:
        WriteError: The file cannot be written.
    """
    from PIL import Image

    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with complete_or_absent(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="png", compress_level=3)


def is_due(trainer: L.Trainer, every_epochs: int) -> bool:
    """True if pictures of the current validation are due: at intervals of epochs, and after the last epoch.

    Args:
        trainer: Trainer of the run.
        every_epochs: Epochs between two pictures; 0 for the last epoch only.
    """
    if trainer.state.fn != "fit" or trainer.sanity_checking or is_trial(trainer):
        return False
    return is_last_validation(trainer) or (every_epochs > 0 and (trainer.current_epoch + 1) % every_epochs == 0)


def publish(figure: "Figure", name: str, trainer: L.Trainer) -> None:
    """Write a figure to `<run>/panels/<name>/epoch_0001.png`, and log it to TensorBoard and Weights & Biases.

    Args:
        figure: A figure of the trainer's current epoch.
        name: Name of the folder for the figures of one subject, the same in every epoch.
        trainer: Trainer of the run.

    Raises:
        WriteError: The file cannot be written.
    """
    pixels = rendered(figure)
    path = Path(trainer.default_root_dir) / PANELS / name / f"epoch_{trainer.current_epoch + 1:04d}.png"
    write_png(pixels, path)
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.add_image(f"{PANELS}/{name}", pixels, trainer.global_step, dataformats="HWC")
        elif isinstance(logger, WandbLogger):
            logger.log_image(f"{PANELS}/{name}", [str(path)], trainer.global_step)
