"""Output of suggested squares: a GeoPackage for QGIS, and a sheet of pictures."""

from pathlib import Path

import geopandas
import numpy as np
import pyogrio
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj import CRS
from rasterio.windows import Window

from seg.files import complete_or_absent, writing
from seg.places.ground import LONLAT
from seg.places.report import EMPTY
from seg.places.suggesting import Square, Suggestion
from seg.raster.grid import open_raster
from seg.raster.pictures.composite import read_composite
from seg.raster.pictures.figures import FRAME_COLOUR, new_figure, save_figure

LAYER = "suggested"
"""Layer of the squares, and column with the model that suggested them. `seg.evaluation.area` rejects files that have
this layer or this column, since squares that were not drawn at random bias area estimates."""

SHOWN = 24
COLUMNS = 4
CELL, GAP, TITLE, TOP = 224, 16, 56, 40
"""Sizes in pixels of the sheet."""


def write_squares(suggestion: Suggestion, path: Path) -> None:
    """Write the squares with their rank, scene, zone, score and reason, in the CRS of the first scene.

    Args:
        suggestion: The squares.
        path: A .gpkg file; complete or absent.

    Raises:
        WriteError: The file cannot be written.
    """
    squares = suggestion.squares
    columns = {
        "rank": np.arange(1, len(squares) + 1),
        "scene": [square.grid.path.name for square in squares],
        "zone": [square.zone for square in squares],
        "score": np.round([square.score for square in squares], 4),
        "reason": [square.reason for square in squares],
        LAYER: [suggestion.package.weights_sha256[:16]] * len(squares),
    }
    outlines = geopandas.GeoSeries([square.outline for square in squares], crs=LONLAT)
    crs = CRS.from_user_input(suggestion.place.grids[0].crs)
    frame = geopandas.GeoDataFrame(columns, geometry=outlines.to_crs(crs))
    with complete_or_absent(path) as unfinished, writing(path, DataSourceError, DataLayerError):
        pyogrio.write_dataframe(frame, unfinished, layer=LAYER, driver="GPKG")


def draw_squares(suggestion: Suggestion, path: Path) -> None:
    """Draw the first squares, each with its reason.

    Args:
        suggestion: The squares.
        path: The .png file; complete or absent.

    Raises:
        RasterError: A scene cannot be read.
        WriteError: The file cannot be written.
    """
    shown = suggestion.squares[:SHOWN]
    columns = min(COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    width, height = max(columns * (CELL + GAP) + GAP, 480), TOP + rows * (CELL + TITLE + GAP)
    figure = new_figure(width, height)
    for number, square in enumerate(shown):
        row, column = divmod(number, columns)
        left, top = GAP + column * (CELL + GAP), TOP + row * (CELL + TITLE + GAP) + TITLE
        box = (left / width, 1 - (top + CELL) / height, CELL / width, CELL / height)
        axes = figure.add_axes(box, xticks=[], yticks=[])
        axes.imshow(_picture(square, suggestion.place.nodata), interpolation="nearest")
        axes.spines[:].set_color(FRAME_COLOUR)
        axes.set_title(_caption(number + 1, square), fontsize=7.5, loc="left", pad=4)
    heading = f"{len(suggestion.squares)} squares to label" + (
        f", the first {SHOWN}" if len(suggestion.squares) > SHOWN else ""
    )
    figure.text(GAP / width, 1 - 12 / height, heading, fontsize=12, va="top")
    save_figure(figure, path)


def _picture(square: Square, nodata: float | None) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    window: Window = square.window
    shrink = max(1.0, max(window.height, window.width) / CELL)
    shape = max(1, round(window.height / shrink)), max(1, round(window.width / shrink))
    with open_raster(square.grid.path) as dataset:
        colours = read_composite(dataset, shape, window, nodata=nodata).colours
    return np.where(colours[..., 3:] > 0, colours, EMPTY)


def _caption(rank: int, square: Square) -> str:
    words, lines = f"{rank}. {square.zone + ': ' if square.zone else ''}{square.reason}".split(), [""]
    for word in words:
        if len(lines[-1]) + len(word) > 38:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines[:3])
