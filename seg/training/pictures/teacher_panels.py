"""Pictures of a teacher's predictions for unlabelled samples: clean image, probability, targets, strong view."""

from typing import TYPE_CHECKING

import lightning as L
import numpy as np
import numpy.typing as npt

from seg.labels import CROPLAND, IGNORE, LABEL_NAMES, OTHER
from seg.raster.pictures.figures import label_patches
from seg.training.pictures.figures import is_due, publish
from seg.training.pictures.panels import PanelConfig, array_of, thinned
from seg.training.pictures.scene_panel import (
    Colours,
    display_size,
    draw_legend,
    draw_probability_bar,
    draw_row,
    label_colours,
    natural_colours,
)
from seg.training.tasks.student import StudentTask

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME = "teacher"
"""Name of these pictures in the run's folder."""

Image = npt.NDArray[np.float32]
Mask = npt.NDArray[np.uint8]


def draw_teacher_panel(title: str, clean: Image, strong: Image, probability: Image, target: Mask) -> "Figure":
    """Draw a clean image, the teacher's probability, the kept targets and a strong view in a row.

    Args:
        title: Title above the panels.
        clean: (C, H, W) first clean image in stored units.
        strong: (C, H, W) strong view; it may contain a rectangle of another image.
        probability: (H, W) probability of cropland for the pixels of the strong view, 0 to 1.
        target: (H, W) targets: OTHER, CROPLAND, or IGNORE where a pixel is not kept.
    """
    kept = float((target != IGNORE).mean())
    everywhere = np.zeros_like(target)
    pictures: list[tuple[str, Colours | Image]] = [
        ("Clean image", natural_colours(clean, everywhere)),
        ("Strong view", natural_colours(strong, everywhere)),
        ("Probability by the teacher", probability),
        (f"Targets ({kept:.0%} of the pixels)", label_colours(target)),
    ]
    size = display_size(*target.shape)
    figure, columns = draw_row(title, pictures, size)
    draw_probability_bar(columns[2], size[0])
    draw_legend(figure, label_patches({label: LABEL_NAMES[label] for label in (CROPLAND, OTHER)}))
    return figure


class TeacherPanels(L.Callback):
    """Draw the unlabelled sample of an epoch's last batch, with the teacher's probability and the targets.

    Args:
        config: Interval and size of the pictures. If `scenes` is 0, nothing is drawn.

    Example:
        Trainer(callbacks=[TeacherPanels(PanelConfig(every_epochs=5))])
    """

    def __init__(self, config: PanelConfig) -> None:
        self.config = config

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Draw if a picture is due."""
        if not (isinstance(pl_module, StudentTask) and pl_module.shown and self.config.scenes):
            return
        if not (trainer.is_global_zero and is_due(trainer, self.config.every_epochs)):
            return
        batch, targets = pl_module.shown["batch"], pl_module.shown["targets"]
        step = thinned(max(batch["clean"].shape[-2:]), self.config.longest_side)
        clean, strong, probability = (
            array_of(layer[..., ::step, ::step].float())
            for layer in (batch["clean"][0, 0], batch["strong"][0, 0], targets.probability[0, 0])
        )
        title = f"{batch['unlabelled'][0]}, epoch {trainer.current_epoch + 1}"
        target = array_of(targets.labels[0, 0, ::step, ::step])
        figure = draw_teacher_panel(title, clean, strong, probability, target)
        publish(figure, NAME, trainer)
