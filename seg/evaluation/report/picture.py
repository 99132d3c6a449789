"""One picture of a comparison: image, reference and map side by side."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from rasterio import Affine
from rasterio.io import DatasetReader
from rasterio.windows import Window

from seg.evaluation.pairs import Pair, is_vector
from seg.evaluation.reading import in_fold, open_reference
from seg.evaluation.scene import SceneAccuracy
from seg.evaluation.settings import EvaluationSettings
from seg.files import complete_or_absent
from seg.labels import (
    CROPLAND,
    IGNORE,
    LABEL_COLOURS,
    LABEL_NAMES,
    OTHER,
)
from seg.raster.chips import ByteMask, read_band
from seg.raster.classes import class_band
from seg.raster.composite import COLOURS, display_bands, read_composite
from seg.raster.grid import open_raster, read_grid
from seg.raster.label_mapping import PLAIN_LABELS, LabelMapping

# In pixels of the picture. Three panels make it about 1500 wide, which stays legible in a README at half that.
PANEL, GAP, TOP, BOTTOM = 480, 24, 48, 72
DPI = 100
FRAME_COLOUR = "#9e9e9e"
OUTLINE_COLOUR = "#c2185b"

Rgba = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Panel:
    """One of the pictures side by side: its title, its (H, W, 4) colours, and whether held-out blocks are outlined."""

    title: str
    colours: Rgba
    outlined: bool = False


def draw_picture(scene: SceneAccuracy, settings: EvaluationSettings, path: Path, named: bool = False) -> None:
    """Write a PNG of image (if given), reference and map; memory does not depend on the rasters' size.

    Args:
        scene: What was compared; its fold, if any, is outlined, and its IoU is in the map's title.
        settings: How the reference is read.
        path: The PNG to write; complete or absent.
        named: Say which scene it is, of several.

    Raises:
        RasterError: A raster cannot be read.
    """
    pair = scene.pair
    with open_raster(pair.prediction) as class_map:
        shape = display_shape(class_map.height, class_map.width)
        panels = [Panel(_map_title(scene, named), class_colours(read_display(class_map, shape)), outlined=True)]
    panels.insert(0, Panel("Reference", class_colours(_reference(pair, settings, shape)), outlined=True))
    if pair.image is not None:
        with open_raster(pair.image) as image:
            panels.insert(0, Panel(_image_title(image), read_composite(image, shape)))
    held_out = None
    if pair.within is not None:
        with open_raster(pair.within.path) as folds:
            held_out = in_fold(folds, pair.within.fold, shape=shape)
    figure = draw_panels(panels, held_out)
    with complete_or_absent(path) as temporary:
        # Without matplotlib's version in the file, the same maps give the same bytes.
        figure.savefig(temporary, format="png", dpi=DPI, metadata={"Software": None})


def display_shape(height: int, width: int) -> tuple[int, int]:
    """Height and width at which to read a raster for a panel: its own, or less so that it fits into one."""
    shrink = max(1.0, max(height, width) / PANEL)
    return max(1, round(height / shrink)), max(1, round(width / shrink))


def read_display(dataset: DatasetReader, shape: tuple[int, int], labels: LabelMapping = PLAIN_LABELS) -> ByteMask:
    """The classes of a class raster at display size, (H, W); IGNORE where it has none.

    Args:
        dataset: An open raster.
        shape: Height and width to read at.
        labels: What its values mean.
    """
    # Not read_classes: a file's overviews may hold averages of labels, which are no error at display size.
    values, valid = read_band(dataset, class_band(dataset, labels), shape=shape)
    classes, _ = labels.classes(values)
    classes[~valid] = IGNORE
    return classes


def class_colours(classes: ByteMask) -> Rgba:
    """Classes in their display colours, (H, W, 4) from 0 to 1; transparent where there is none."""
    colours = np.zeros((*classes.shape, 4))
    for label in (OTHER, CROPLAND):
        colours[classes == label] = _colour(label)
    return colours


def outline_segments(inside: npt.NDArray[np.bool_]) -> list[list[tuple[float, float]]]:
    """The edges between inside and outside as (x, y) segments in pixel coordinates, centres at whole numbers.

    Args:
        inside: (H, W); what is beyond the array counts as outside.
    """
    padded = np.pad(inside, 1)
    rows, columns = np.nonzero(np.diff(padded[:, 1:-1], axis=0))
    segments = [[(x - 0.5, y - 0.5), (x + 0.5, y - 0.5)] for y, x in zip(rows.tolist(), columns.tolist(), strict=True)]
    rows, columns = np.nonzero(np.diff(padded[1:-1], axis=1))
    segments += [[(x - 0.5, y - 0.5), (x - 0.5, y + 0.5)] for y, x in zip(rows.tolist(), columns.tolist(), strict=True)]
    return segments


def draw_panels(panels: list[Panel], held_out: npt.NDArray[np.bool_] | None) -> Figure:
    """A figure of panels in a row, of one shape, over one legend.

    Args:
        panels: What to show.
        held_out: (H, W), True where the held-out fold lies; None without one.
    """
    height, width = (size * _magnification(panels[0].colours.shape) for size in panels[0].colours.shape[:2])
    column = max(width, PANEL - 2 * GAP)  # A narrow raster still needs room for its title.
    total_width, total_height = len(panels) * (column + GAP) + GAP, height + TOP + BOTTOM
    figure = Figure(figsize=(total_width / DPI, total_height / DPI), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    for i, panel in enumerate(panels):
        left = GAP + i * (column + GAP) + (column - width) // 2
        box = (left / total_width, BOTTOM / total_height, width / total_width, height / total_height)
        _draw_panel(figure.add_axes(box, xticks=[], yticks=[]), panel, held_out)
    handles = _legend_handles(held_out is not None)
    figure.legend(handles=handles, loc="lower center", ncols=len(handles), frameon=False, fontsize=14)
    return figure


def _draw_panel(axes: Axes, panel: Panel, held_out: npt.NDArray[np.bool_] | None) -> None:
    axes.imshow(panel.colours, interpolation="nearest", aspect="auto")
    axes.spines[:].set_color(FRAME_COLOUR)
    axes.set_title(panel.title, fontsize=15, pad=9)
    if panel.outlined and held_out is not None:
        lines = LineCollection(outline_segments(held_out), colors=OUTLINE_COLOUR, linewidths=2.2, clip_on=False)
        lines.set_capstyle("projecting")
        axes.add_collection(lines, autolim=False)


def _magnification(shape: tuple[int, ...]) -> float:
    # Whole pixels where they are large enough for uneven ones to show.
    times = PANEL / max(shape[:2])
    return float(int(times)) if times >= 2 else times


def _legend_handles(with_outline: bool) -> list[Patch | Line2D]:
    handles: list[Patch | Line2D] = [
        Patch(facecolor=_colour(label), edgecolor=FRAME_COLOUR, label=LABEL_NAMES[label]) for label in (CROPLAND, OTHER)
    ]
    handles.append(Patch(facecolor=_colour(IGNORE), edgecolor=FRAME_COLOUR, label="no label or no data"))
    if with_outline:
        handles.append(Line2D([], [], color=OUTLINE_COLOUR, linewidth=2.2, label="held out of training"))
    return handles


def _colour(label: int) -> tuple[float, float, float, float]:
    red, green, blue, alpha = LABEL_COLOURS[label]
    return red / 255, green / 255, blue / 255, alpha / 255


def _reference(pair: Pair, settings: EvaluationSettings, shape: tuple[int, int]) -> ByteMask:
    if not is_vector(pair.reference):
        with open_raster(pair.reference) as dataset:
            return read_display(dataset, shape, settings.labels)
    grid = read_grid(pair.prediction)
    height, width = shape
    shrunk = grid.transform @ Affine.scale(grid.width / width, grid.height / height)
    shown = replace(grid, height=height, width=width, transform=shrunk)
    with open_reference(pair.reference, shown, settings) as mask:
        return mask.labels(Window(0, 0, width, height))


def _map_title(scene: SceneAccuracy, named: bool) -> str:
    within, iou = scene.pair.within, scene.counts.iou
    score = "no IoU" if iou is None else f"IoU {iou:.3f}"
    return f"Map{f' of {scene.pair.name}' if named else ''}: {score}" + (
        f" on held-out fold {within.fold}" if within else ""
    )


def _image_title(scene: DatasetReader) -> str:
    bands = display_bands(scene)
    named = [(scene.descriptions[band - 1] or "").strip().lower() for band in bands]
    if tuple(named) == COLOURS:
        return "Image (red, green, blue)"
    return f"Image (band{'s' if len(bands) > 1 else ''} {', '.join(map(str, bands))})"
