"""Pictures of a pretext task: image, visible part of the image, and image with its hidden parts filled in."""

from typing import TYPE_CHECKING

import lightning as L
import numpy as np
import numpy.typing as npt
import torch

from seg.training.pictures.figures import is_due, publish
from seg.training.pictures.panels import PanelConfig, array_of, thinned
from seg.training.pictures.scene_panel import display_size, draw_row, natural_colours
from seg.training.tasks.pretext import PretextTask

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME = "filled"
"""Name of these pictures in the run's folder."""

GREY = 0.5
"""Shade of hidden blocks."""

Image = npt.NDArray[np.float32]


def draw_filled_panel(title: str, image: Image, hidden: npt.NDArray[np.bool_], found: Image) -> "Figure":
    """Draw an image, its visible part, and the image with its hidden parts filled in, all with the same colour stretch.

    Args:
        title: Title above the panels.
        image: (C, H, W) in stored units.
        hidden: (C, H, W) True where the network got no values.
        found: (C, H, W) values of the network in stored units.
    """
    height, width = image.shape[-2:]
    joined = np.concatenate([image, np.where(hidden, found, image)], axis=2)
    both = natural_colours(joined, np.zeros((height, 2 * width), dtype=np.uint8))
    whole, filled = both[:, :width], both[:, width:]
    seen = whole.copy()
    seen[np.logical_and.reduce(hidden, axis=0)] = GREY
    pictures = [("Image", whole), (f"Visible ({1 - hidden.mean():.0%})", seen), ("Filled in", filled)]
    figure, _ = draw_row(title, pictures, display_size(height, width))
    return figure


class FilledPanels(L.Callback):
    """Draw an image of an epoch's last batch, and the image as the network fills it in.

    Args:
        config: Interval and size of the pictures. If `scenes` is 0, nothing is drawn.

    Example:
        Trainer(callbacks=[FilledPanels(PanelConfig(every_epochs=5))])
    """

    def __init__(self, config: PanelConfig) -> None:
        self.config = config

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Draw if a picture is due."""
        if not (isinstance(pl_module, PretextTask) and pl_module.shown and self.config.scenes):
            return
        if not (trainer.is_global_zero and is_due(trainer, self.config.every_epochs)):
            return
        shown = pl_module.shown
        step = thinned(max(shown.image.shape[-2:]), self.config.longest_side)
        image, found = (array_of(layer[:, ::step, ::step].float()) for layer in (shown.image, shown.found))
        hidden = array_of(shown.hidden[:, ::step, ::step].to(torch.uint8)).astype(np.bool_)
        title = f"{shown.name}, epoch {trainer.current_epoch + 1}"
        publish(draw_filled_panel(title, image, hidden, found), NAME, trainer)
