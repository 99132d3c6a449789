"""Picture of a comparison: image, reference and map side by side."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from rasterio.io import DatasetReader
from rasterio.windows import Window

from seg.evaluation.reading import in_fold
from seg.evaluation.report.colours import palettes
from seg.evaluation.report.layers import Bytes, open_scene
from seg.evaluation.scene import SceneAccuracy
from seg.evaluation.settings import EvaluationSettings
from seg.labels import CROPLAND, IGNORE, LABEL_NAMES, OTHER
from seg.raster.chips import BoolMask
from seg.raster.grid import band_texts, open_raster
from seg.raster.pictures.composite import COLOURS, display_bands
from seg.raster.pictures.figures import RowLayout, label_patches, panel_row, save_figure

PANEL = 480
"""Longest side of a panel in pixels; a picture of three panels is about 1500 pixels wide, legible at half that size."""

LAYOUT = RowLayout(gap=24, top=48, bottom=72, narrowest=432)
OUTLINE_COLOUR = "#c2185b"


@dataclass(frozen=True)
class Panel:
    """One picture of the row.

    Attributes:
        title: Text above the picture.
        colours: (H, W, 4) red, green, blue and opacity.
        outlined: True to outline the held-out blocks.
    """

    title: str
    colours: Bytes
    outlined: bool = False


def draw_picture(scene: SceneAccuracy, settings: EvaluationSettings, path: Path, named: bool = False) -> None:
    """Write a PNG of image (if given), reference and map; memory does not depend on the size of the rasters.

    Args:
        scene: The compared scene. If it has a fold, the fold is outlined. The title of the map contains the IoU.
        settings: Settings of the comparison.
        path: The PNG, written atomically.
        named: True to show the name of the scene, for example if several scenes were compared.

    Raises:
        RasterError: A raster cannot be read.
    """
    panels = _panels(scene, settings, named)
    held_out, within = None, scene.pair.within
    if within is not None:
        height, width = panels[0].colours.shape[:2]
        with open_raster(within.path) as folds:
            held_out = in_fold(folds, within.fold, shape=(height, width))
    figure = draw_panels(panels, held_out)
    save_figure(figure, path)


def _panels(scene: SceneAccuracy, settings: EvaluationSettings, named: bool) -> list[Panel]:
    # The pair is opened without its fold, since the picture shows the whole reference and outlines the compared part.
    with open_scene(replace(scene.pair, within=None, probability=None), settings) as reader:
        grid, image = reader.pair.grid, reader.image
        layers = reader.read(Window(0, 0, grid.width, grid.height), display_shape(grid.height, grid.width))
        image_title = "" if image is None else _image_title(image)
    reference, prediction = (
        np.array(palettes()[layer], np.uint8)[layers.codes] for layer in ("reference", "prediction")
    )
    panels = [Panel("Reference", reference, outlined=True), Panel(_map_title(scene, named), prediction, outlined=True)]
    return panels if layers.image is None else [Panel(image_title, layers.image), *panels]


def display_shape(height: int, width: int) -> tuple[int, int]:
    """Height and width at which a raster is read for a panel: its own size, or a smaller size that fits."""
    shrink = max(1.0, max(height, width) / PANEL)
    return max(1, round(height / shrink)), max(1, round(width / shrink))


def outline_segments(inside: BoolMask) -> list[list[tuple[float, float]]]:
    """Edges between inside and outside as (x, y) segments in pixels, pixel centres at whole numbers.

    Args:
        inside: (H, W); pixels beyond the array count as outside.
    """
    padded = np.pad(inside, 1)
    rows, columns = np.nonzero(np.diff(padded[:, 1:-1], axis=0))
    segments = [[(x - 0.5, y - 0.5), (x + 0.5, y - 0.5)] for y, x in zip(rows.tolist(), columns.tolist(), strict=True)]
    rows, columns = np.nonzero(np.diff(padded[1:-1], axis=1))
    segments += [[(x - 0.5, y - 0.5), (x - 0.5, y + 0.5)] for y, x in zip(rows.tolist(), columns.tolist(), strict=True)]
    return segments


def draw_panels(panels: list[Panel], held_out: BoolMask | None) -> Figure:
    """Figure of panels of one shape in a row, above a legend.

    Args:
        panels: The panels, from left to right.
        held_out: (H, W) True in the held-out fold; None if there is no fold.
    """
    height, width = (size * _magnification(panels[0].colours.shape) for size in panels[0].colours.shape[:2])
    figure, columns = panel_row(len(panels), height, width, LAYOUT)
    for axes, panel in zip(columns, panels, strict=True):
        _draw_panel(axes, panel, held_out)
    handles = _legend_handles(held_out is not None)
    figure.legend(handles=handles, loc="lower center", ncols=len(handles), frameon=False, fontsize=14)
    return figure


def _draw_panel(axes: Axes, panel: Panel, held_out: BoolMask | None) -> None:
    axes.imshow(panel.colours, interpolation="nearest", aspect="auto")
    axes.set_title(panel.title, fontsize=15, pad=9)
    if panel.outlined and held_out is not None:
        lines = LineCollection(outline_segments(held_out), colors=OUTLINE_COLOUR, linewidths=2.2, clip_on=False)
        lines.set_capstyle("projecting")
        axes.add_collection(lines, autolim=False)


def _magnification(shape: tuple[int, ...]) -> float:
    # The factor is a whole number if pixels are so large that unequal sizes would be visible.
    times = PANEL / max(shape[:2])
    return float(int(times)) if times >= 2 else times


def _legend_handles(with_outline: bool) -> list[Patch | Line2D]:
    names = {label: LABEL_NAMES[label] for label in (CROPLAND, OTHER)} | {IGNORE: "no label or no data"}
    handles: list[Patch | Line2D] = [*label_patches(names)]
    if with_outline:
        handles.append(Line2D([], [], color=OUTLINE_COLOUR, linewidth=2.2, label="held out of training"))
    return handles


def _map_title(scene: SceneAccuracy, named: bool) -> str:
    within, iou = scene.pair.within, scene.counts.iou
    score = "no IoU" if iou is None else f"IoU {iou:.3f}"
    return f"Map{f' of {scene.pair.name}' if named else ''}: {score}" + (
        f" on held-out fold {within.fold}" if within else ""
    )


def _image_title(image: DatasetReader) -> str:
    bands = display_bands(image)
    texts = band_texts(image)
    if tuple(texts[band - 1].lower() for band in bands) == COLOURS:
        return "Image (red, green, blue)"
    return f"Image (band{'s' if len(bands) > 1 else ''} {', '.join(map(str, bands))})"
