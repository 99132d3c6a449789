"""Contact sheet of a dataset: small pictures of each image and mask; scenes with problems are framed."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from seg.data.checking.check import Report
from seg.data.checking.findings import Finding, Severity
from seg.data.checking.scenes import CheckedScene
from seg.data.dataset.catalogue import Scene
from seg.errors import RasterError
from seg.labels import CROPLAND, LABEL_NAMES, OTHER
from seg.raster.chips import read_band
from seg.raster.classes import class_band
from seg.raster.grid import Grid, open_raster
from seg.raster.pictures.composite import read_composite
from seg.raster.pictures.figures import FRAME_COLOUR, new_figure, save_figure

SHEET_SCENES = 24
COLUMNS = 4
# Sizes in pixels.
SIDE, BETWEEN, GAP, TITLE, TOP, BOTTOM = 176, 4, 22, 44, 56, 56
NARROWEST = 780
"""Smallest width of the sheet, so that the legend fits."""

TINTS = {CROPLAND: (0.16, 0.66, 0.20), OTHER: (0.95, 0.76, 0.42)}
"""Colours of the labels. They are brighter than the colours of maps, because they are drawn over a grey image."""

OPACITY = 0.55
DARKEST = 0.3
"""Grey level of the darkest pixel under the labels; the colours of labels over black would be too dark."""

FRAMES = {Severity.ERROR: "#c62828", Severity.WARNING: "#ef6c00"}
EMPTY = (0.82, 0.82, 0.88)

Picture = npt.NDArray[np.float64]


def draw_sheet(report: Report, path: Path) -> None:
    """Write a PNG with the image and mask of up to 24 scenes; scenes with problems come first.

    Args:
        report: Report of the check.
        path: PNG file, complete or absent.
    """
    chosen = choose_scenes(report)
    columns = max(1, min(COLUMNS, len(chosen)))
    rows = max(1, -(-len(chosen) // columns))
    cell = 2 * SIDE + BETWEEN
    width, height = max(columns * (cell + GAP) + GAP, NARROWEST), TOP + rows * (TITLE + SIDE + GAP) + BOTTOM
    figure = new_figure(width, height)
    for place, scene in enumerate(chosen):
        row, column = divmod(place, columns)
        left = GAP + column * (cell + GAP)
        bottom = height - TOP - row * (TITLE + SIDE + GAP) - TITLE - SIDE
        axes = figure.add_axes((left / width, bottom / height, cell / width, SIDE / height), xticks=[], yticks=[])
        _draw_scene(axes, scene, findings_of(report, scene), report.options.nodata)
    heading = report.root.absolute().name + (
        f": {len(chosen)} of {len(report.scenes)} scenes" if len(chosen) < len(report.scenes) else ""
    )
    figure.text(GAP / width, 1 - 18 / height, heading, fontsize=15, va="top")
    _draw_legend(figure)
    save_figure(figure, path)


def choose_scenes(report: Report) -> list[CheckedScene]:
    """Up to SHEET_SCENES scenes: scenes with errors, then with warnings, then an even selection of the other scenes."""
    rank = {severity: place for place, severity in enumerate(FRAMES)}
    worst = [min((rank[f.severity] for f in findings_of(report, scene)), default=len(rank)) for scene in report.scenes]
    marked = sorted((place for place, level in enumerate(worst) if level < len(rank)), key=lambda place: worst[place])
    others = [place for place, level in enumerate(worst) if level == len(rank)]
    left = max(0, min(SHEET_SCENES - len(marked), len(others)))
    spread = [others[i * len(others) // left] for i in range(left)]
    return [report.scenes[place] for place in [*marked[:SHEET_SCENES], *spread]]


def findings_of(report: Report, scene: CheckedScene) -> list[Finding]:
    """Errors and warnings about the image or mask of a scene."""
    files = (scene.scene.image, scene.scene.mask)
    return [finding for finding in report.findings if finding.file in files and finding.severity in FRAMES]


def _draw_scene(axes: Axes, scene: CheckedScene, findings: Sequence[Finding], nodata: float | None) -> None:
    axes.imshow(_pair(scene, nodata), interpolation="nearest", aspect="equal")
    colour = FRAMES[findings[0].severity] if findings else FRAME_COLOUR
    if scene.pixels is None:
        axes.text(SIDE, SIDE / 2, "not read", ha="center", va="center", fontsize=11, color=colour, backgroundcolor="w")
    axes.spines[:].set_color(colour)
    axes.spines[:].set_linewidth(2.5 if findings else 0.8)
    axes.set_title(_caption(scene, findings), fontsize=10, loc="left", pad=5, color=colour if findings else "black")


def _caption(scene: CheckedScene, findings: Sequence[Finding]) -> str:
    # Fonts cannot draw a name that is not UTF-8.
    name = scene.scene.image.name.encode(errors="backslashreplace").decode()
    name = textwrap.shorten(name, 46, placeholder="...")
    name = name if len(name) <= 46 else f"{name[:43]}..."
    kinds = ", ".join(dict.fromkeys(finding.kind for finding in findings))
    labels = scene.labels
    labelled = labels.cropland + labels.other if labels else 0
    share = f", {labels.cropland / labelled:.0%} cropland" if labels and labelled else ""
    return f"{name}\n{kinds[:52] or f'fold {scene.scene.fold}{share}'}"


def _pair(scene: CheckedScene, nodata: float | None) -> Picture:
    """Picture (SIDE, 2 * SIDE + BETWEEN, 3), 0 to 1: the image, and to the right its grey copy with coloured labels."""
    pair = np.ones((SIDE, 2 * SIDE + BETWEEN, 3))
    if scene.grid is None:
        return pair
    shape = _shape(scene.grid)
    rows, columns = ((SIDE - length) // 2 for length in shape)
    inside = slice(rows, rows + shape[0])
    try:
        with open_raster(scene.scene.image) as image:
            colours = read_composite(image, shape, nodata=nodata).colours
    except RasterError:
        return pair
    visible = colours[..., 3:] > 0
    picture = np.where(visible, colours[..., :3], EMPTY)
    pair[inside, columns : columns + shape[1]] = picture
    right = SIDE + BETWEEN + columns
    pair[inside, right : right + shape[1]] = np.where(visible, _tinted(picture, scene.scene), EMPTY)
    return pair


def _tinted(picture: Picture, scene: Scene) -> Picture:
    """Grey picture, tinted where the mask has a label."""
    grey = picture.mean(axis=2, keepdims=True)
    tinted: Picture = np.repeat(DARKEST + (1 - DARKEST) * grey, 3, axis=2)
    try:
        with open_raster(scene.mask) as dataset:
            # The sheet also shows invalid masks, which `read_classes` would reject.
            values, valid = read_band(dataset, class_band(dataset, scene.labels), shape=picture.shape[:2])
    except RasterError:
        return tinted
    classes, _ = scene.labels.classes(values)
    for label, tint in TINTS.items():
        selected = valid & (classes == label)
        tinted[selected] = (1 - OPACITY) * tinted[selected] + OPACITY * np.array(tint)
    return tinted


def _shape(grid: Grid) -> tuple[int, int]:
    """Height and width at which a scene fills its cell of the sheet; small scenes are magnified."""
    scale = SIDE / max(grid.height, grid.width)
    return max(1, round(grid.height * scale)), max(1, round(grid.width * scale))


def _draw_legend(figure: Figure) -> None:
    handles = [
        Patch(facecolor=(*TINTS[label], 0.8), edgecolor=FRAME_COLOUR, label=LABEL_NAMES[label])
        for label in (CROPLAND, OTHER)
    ]
    handles.append(Patch(facecolor="#707070", edgecolor=FRAME_COLOUR, label="no label"))
    handles.append(Patch(facecolor=EMPTY, edgecolor=FRAME_COLOUR, label="no data"))
    handles += [Patch(facecolor="none", edgecolor=FRAMES[s], linewidth=2.5, label=str(s)) for s in FRAMES]
    figure.legend(handles=handles, loc="lower center", ncols=len(handles), frameon=False, fontsize=11)
