"""Printable sheet for field checks: the first patches of change, their places and pictures of both dates."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyogrio
import shapely
from rasterio.io import DatasetReader
from rasterio.windows import Window

from seg.evaluation.change.maps import Maps
from seg.evaluation.report.layers import Bytes
from seg.evaluation.report.page.chips import indexed_png
from seg.evaluation.report.page.frame import render_tables
from seg.evaluation.report.page.tiles import webp
from seg.evaluation.settings import ChangeSettings
from seg.labels import CROPLAND, IGNORE, LABEL_COLOURS, OTHER
from seg.parcels.settings import UNITS_M2
from seg.raster.chips import read_band
from seg.raster.classes import class_band
from seg.raster.grid import Grid, open_raster
from seg.raster.pictures.composite import Limits, read_composite

SIDE = 160
"""Largest side of a picture in pixels."""

_SURROUND = 2.0
"""Side of a picture, in multiples of the longer side of the patch."""

_LEAST_SIDE = 48
"""Smallest side of a picture in pixels of the map, so that the surroundings of a small patch can be recognised."""

_OVERVIEW = 512
"""Longest side in pixels of the reduced image from which the limits of the colours are computed."""


@dataclass(frozen=True)
class Patch:
    """A patch of change on the sheet.

    Attributes:
        row: Columns of the patch in change.gpkg, without the geometry.
        pictures: For each picture, "image" or "map", "before" or "after", and the picture as a data URI.
        outline: SVG path of the outline, in pixels of the pictures.
        width: Width of the pictures in pixels.
        height: Height of the pictures in pixels.
        side_m: Width of the pictures on the ground in metres; None if unknown.
    """

    row: Mapping[str, Any]
    pictures: list[tuple[str, str, str]]
    outline: str
    width: int
    height: int
    side_m: float | None


def write_sheet(
    maps: Maps, polygons: Path, content: Mapping[str, object], settings: ChangeSettings, path: Path
) -> None:
    """Write the sheet as one self-contained HTML file.

    Args:
        maps: The two maps, and their scenes if given.
        polygons: The ordered polygons of change.
        content: Content of change.json.
        settings: Number of patches, and language.
        path: The file.

    Raises:
        RasterError: A raster cannot be read.
    """
    frame = pyogrio.read_dataframe(polygons, max_features=settings.sheet)
    html = render_tables(
        "patches.html.j2",
        settings.lang,
        {"change": content},
        patches=list(_patches(frame, maps)),
        every=pyogrio.read_info(polygons)["features"],
        mu_per_ha=UNITS_M2["ha"] / UNITS_M2["mu"],
    )
    path.write_text(html, encoding="utf-8", errors="backslashreplace")


def _patches(frame: geopandas.GeoDataFrame, maps: Maps) -> Iterator[Patch]:
    grid = maps.grid()
    with ExitStack() as opened:
        classes = [opened.enter_context(open_raster(path)) for path in (maps.before, maps.after)]
        images = [None if path is None else opened.enter_context(open_raster(path)) for path in maps.images]
        limits = [None if image is None else _limits(image) for image in images]
        for row, shape in zip(frame.drop(columns="geometry").to_dict("records"), frame.geometry, strict=True):
            outline = shapely.transform(shape, lambda x, y: ~grid.transform @ (x, y), interleaved=False)
            window = _window(outline, grid)
            shrink = max(1.0, max(window.height, window.width) / SIDE)
            size = max(1, round(window.height / shrink)), max(1, round(window.width / shrink))
            pictures = [
                ("image", when, _image_picture(image, window, size, limit))
                for when, image, limit in zip(("before", "after"), images, limits, strict=True)
                if image is not None
            ]
            pictures += [
                ("map", when, _map_picture(dataset, window, size))
                for when, dataset in zip(("before", "after"), classes, strict=True)
            ]
            side = None if grid.pixel_size_m is None else grid.pixel_size_m * window.width
            yield Patch(row, pictures, _path(outline, window, size), size[1], size[0], side)


def _limits(image: DatasetReader) -> Limits:
    """Limits of the colours, from the whole image, so that all pictures of a date have the same colours."""
    shrink = max(1.0, max(image.height, image.width) / _OVERVIEW)
    return read_composite(image, (max(1, round(image.height / shrink)), max(1, round(image.width / shrink)))).limits


def _window(outline: shapely.Geometry, grid: Grid) -> Window:
    """Square window around a patch, moved and cut so that it lies on the map."""
    left, top, right, bottom = outline.bounds
    side = round(max(_SURROUND * max(right - left, bottom - top), _LEAST_SIDE))
    width, height = min(side, grid.width), min(side, grid.height)
    column = min(max(round((left + right - width) / 2), 0), grid.width - width)
    row = min(max(round((top + bottom - height) / 2), 0), grid.height - height)
    return Window(column, row, width, height)


def _image_picture(image: DatasetReader, window: Window, size: tuple[int, int], limits: Limits | None) -> str:
    colours = read_composite(image, size, window, limits).colours
    return f"data:image/webp;base64,{webp(np.rint(255 * colours).astype(np.uint8))}"


def _map_picture(dataset: DatasetReader, window: Window, size: tuple[int, int]) -> str:
    values, valid = read_band(dataset, class_band(dataset), window, size)
    codes: Bytes = np.full(size, 2, np.uint8)
    for code, label in enumerate((OTHER, CROPLAND)):
        codes[valid & (values == label)] = code
    palette = [LABEL_COLOURS[label] for label in (OTHER, CROPLAND, IGNORE)]
    return f"data:image/png;base64,{indexed_png(codes, palette)}"


def _path(outline: shapely.Polygon, window: Window, size: tuple[int, int]) -> str:
    """SVG path of a polygon in pixels of a picture; details below half a pixel are left out."""
    across, down = size[1] / window.width, size[0] / window.height
    placed = shapely.transform(
        outline, lambda x, y: ((x - window.col_off) * across, (y - window.row_off) * down), interleaved=False
    )
    rings = shapely.get_coordinates(shapely.get_rings(shapely.simplify(placed, 0.5)), return_index=True)
    xy, ring = rings
    paths = ["M" + "L".join(f"{x:.4g} {y:.4g}" for x, y in xy[ring == one].tolist()) + "Z" for one in np.unique(ring)]
    return "".join(paths)
