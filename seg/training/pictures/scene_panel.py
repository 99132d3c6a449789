"""Picture of a validated scene: image, reference, probability and errors side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from seg.labels import (
    CROPLAND,
    IGNORE,
    LABEL_COLOURS,
    LABEL_NAMES,
    OTHER,
)
from seg.raster.pictures.composite import colour_bands, display_limits, stretch
from seg.raster.pictures.figures import FRAME_COLOUR, RowLayout, label_patches, panel_row
from seg.training.pictures.figures import TEXT_COLOUR

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

LAYOUT = RowLayout(gap=20, top=64, bottom=84, narrowest=220)
MAGNIFIED = 280
"""Longest side of a magnified scene, in pixels."""

IGNORED_COLOUR = (158, 158, 158)
FALSE_POSITIVE, FALSE_NEGATIVE = "false cropland", "missed cropland"
ERROR_COLOURS = {FALSE_POSITIVE: (230, 97, 1), FALSE_NEGATIVE: (94, 60, 153)}
"""Colours of errors. With common kinds of colour blindness, orange and purple can be distinguished from each other and
from the green of cropland."""

Image = npt.NDArray[np.float32]
Mask = npt.NDArray[np.uint8]
Colours = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ScenePanel:
    """Data from which a picture of a scene is drawn.

    Attributes:
        title: Title above the panels.
        image: (C, H, W) in stored units.
        mask: (H, W) labels.
        probability: (H, W) of cropland, 0 to 1.
        threshold: Probability above which a pixel is mapped as cropland.
        band_names: Names of the channels, used to find red, green and blue; empty if unknown.
    """

    title: str
    image: Image
    mask: Mask
    probability: Image
    threshold: float
    band_names: Sequence[str] = ()


def natural_colours(image: Image, mask: Mask, band_names: Sequence[str] = ()) -> Colours:
    """Colours of an image, (H, W, 3) from 0 to 1, with each channel stretched between its 2nd and 98th percentile.

    If channels are named red, green and blue, they are used. Otherwise the first three channels are used, or the first
    channel in grey if there are fewer than three. If there are labelled pixels, percentiles are computed from the
    labelled pixels only, because other pixels may hold nodata values.

    Args:
        image: (C, H, W) in stored units.
        mask: (H, W) labels.
        band_names: Names of the channels; empty if unknown.
    """
    chosen = colour_bands(band_names) or ((1, 2, 3) if len(image) >= 3 else (1,))
    counted = mask != IGNORE
    counted = counted if counted.any() else np.ones_like(counted)
    everywhere, layers = np.ones_like(counted), []
    for band in chosen:
        values = image[band - 1].astype(np.float64)
        layers.append(stretch(values, everywhere, display_limits(values, counted)))
    return np.stack(layers if len(layers) == 3 else layers * 3, axis=-1)


def error_colours(mask: Mask, probability: Image, threshold: float) -> Colours:
    """Colours of a map's errors, (H, W, 3) from 0 to 1; correct and ignored pixels have the colours of labels.

    Args:
        mask: (H, W) labels.
        probability: (H, W), 0 to 1.
        threshold: Probability above which a pixel is mapped as cropland.
    """
    mapped = probability > threshold
    colours = label_colours(mask)
    colours[mapped & (mask == OTHER)] = _unit(ERROR_COLOURS[FALSE_POSITIVE])
    colours[~mapped & (mask == CROPLAND)] = _unit(ERROR_COLOURS[FALSE_NEGATIVE])
    return colours


def label_colours(mask: Mask) -> Colours:
    """Colours of labels, (H, W, 3) from 0 to 1; ignored pixels are grey."""
    colours = np.broadcast_to(_unit(IGNORED_COLOUR), (*mask.shape, 3)).copy()
    for label in (OTHER, CROPLAND):
        colours[mask == label] = _unit(LABEL_COLOURS[label][:3])
    return colours


def scene_iou(mask: Mask, probability: Image, threshold: float) -> float | None:
    """IoU of cropland over the labelled pixels; None if neither the map nor the reference has cropland."""
    mapped, cropland = (probability > threshold) & (mask != IGNORE), mask == CROPLAND
    union = int((mapped | cropland).sum())
    return int((mapped & cropland).sum()) / union if union else None


def draw_scene_panel(panel: ScenePanel) -> "Figure":
    """Draw image, reference, probability and errors in a row, above a legend of the colours."""
    height, width = display_size(*panel.mask.shape)
    iou = scene_iou(panel.mask, panel.probability, panel.threshold)
    errors = "Errors" if iou is None else f"Errors (IoU here {iou:.3f})"
    pictures: list[tuple[str, Colours | Image]] = [
        ("Image", natural_colours(panel.image, panel.mask, panel.band_names)),
        ("Reference", label_colours(panel.mask)),
        ("Probability of cropland", panel.probability),
        (errors, error_colours(panel.mask, panel.probability, panel.threshold)),
    ]
    figure, columns = draw_row(panel.title, pictures, (height, width))
    draw_probability_bar(columns[2], height)
    draw_legend(figure, _legend())
    return figure


def draw_row(
    title: str, pictures: Sequence[tuple[str, Colours | Image]], size: tuple[int, int]
) -> tuple["Figure", Sequence["Axes"]]:
    """Draw titled pictures in a row below a common title.

    Args:
        title: Title above the row.
        pictures: Title and pixels of each picture: (H, W, 3) colours from 0 to 1, or (H, W) values from 0 to 1.
        size: Height and width of a panel in pixels.

    Returns:
        The figure and its panels.
    """
    figure, panels = panel_row(len(pictures), *size, LAYOUT)
    for axes, (name, pixels) in zip(panels, pictures, strict=True):
        axes.imshow(pixels, interpolation="nearest", aspect="auto", cmap="viridis", vmin=0, vmax=1)
        axes.set_title(name, fontsize=10, color=TEXT_COLOUR, pad=5)
    total_width, total_height = figure.canvas.get_width_height()
    left, top = LAYOUT.gap / total_width, 1 - 12 / total_height
    figure.text(left, top, title, va="top", fontsize=12, color=TEXT_COLOUR)
    return figure, panels


def draw_legend(figure: "Figure", handles: Sequence["Patch"]) -> None:
    """Draw a legend below the panels."""
    figure.legend(handles=list(handles), loc="lower center", ncols=len(handles), frameon=False, fontsize=9.5)


def draw_probability_bar(axes: "Axes", height: int) -> None:
    """Draw the colours of probabilities below a panel that is `height` pixels high."""
    bar = axes.inset_axes((0, -18 / height, 1, 8 / height))
    bar.imshow(np.linspace(0, 1, 256)[None], aspect="auto", cmap="viridis", extent=(0, 1, 0, 1))
    bar.set_xticks([0, 0.5, 1], labels=["0", "0.5", "1"], fontsize=8, color=TEXT_COLOUR)
    bar.set_yticks([])
    bar.tick_params(length=2, pad=2, color=TEXT_COLOUR)
    bar.spines[:].set_visible(False)


def display_size(height: int, width: int) -> tuple[int, int]:
    """Height and width of a panel in pixels; small scenes are magnified."""
    # The magnification is a whole number, so that all pixels are drawn equally large.
    times = max(1, MAGNIFIED // max(height, width))
    return height * times, width * times


def _legend() -> list["Patch"]:
    from matplotlib.patches import Patch

    others = ERROR_COLOURS | {"no label": IGNORED_COLOUR}
    return label_patches({label: LABEL_NAMES[label] for label in (CROPLAND, OTHER)}) + [
        Patch(facecolor=tuple(_unit(colour)), edgecolor=FRAME_COLOUR, label=name) for name, colour in others.items()
    ]


def _unit(colour: Sequence[int]) -> Colours:
    return np.asarray(colour, dtype=np.float64) / 255
