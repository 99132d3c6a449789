"""Area of interest: the part of a scene to map, given by polygons of a vector file or by a box."""

import hashlib
import math
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import shapely
from rasterio.windows import Window

from seg.errors import ConfigError, NoOverlapError
from seg.labels import CROPLAND
from seg.raster.chips import BoolMask, Polygons
from seg.raster.grid import Grid
from seg.raster.ground.crs import crs_name
from seg.raster.vectors.burning import Layer
from seg.raster.vectors.crossed_pixels import on_lattice
from seg.raster.vectors.settings import LAYER

Sides = tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class Area:
    """Pixels of a scene to map: pixels whose centre lies in a polygon.

    Attributes:
        polygons: Simple polygons in pixels of the scene, x to the right and y down.
        name: The area as the user gave it; maps show it in their tags.
    """

    polygons: Polygons
    name: str

    def covers(self, window: Window) -> BoolMask:
        """(H, W) bool, True for pixels of the area; the value of a pixel does not depend on the window."""
        return self._layer.covers(window)

    def intersects(self, window: Window) -> bool:
        """True if any pixel of a window belongs to the area."""
        frame = shapely.box(*_corners(window))
        near = self.polygons[self._layer.tree.query(frame, predicate="intersects")]
        if not len(near):
            return False
        # Most blocks lie within a polygon, and burning the area into each block would take minutes in a large scene.
        return bool(shapely.contains_properly(near, frame).any() or self.covers(window).any())

    @cached_property
    def bounds(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of the area in whole pixels, which may lie outside the scene."""
        left, top, right, bottom = shapely.total_bounds(self.polygons)
        return math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom)

    @cached_property
    def checksum(self) -> str:
        """SHA-256 of the polygons; different for each area of a scene."""
        return hashlib.sha256(b"".join(shapely.to_wkb(self.polygons, byte_order=1))).hexdigest()

    @cached_property
    def _layer(self) -> Layer:
        return Layer(CROPLAND, self.polygons)


def box_of(text: str) -> Sides | None:
    """Left, bottom, right and top, if a text is a box; None if it names a file.

    Raises:
        ConfigError: The text does not have four numbers, or the box is empty.
    """
    if not re.fullmatch(r"[\[(]?[-+\d.eE,\s]+[\])]?", text):
        return None
    try:
        numbers = [float(number) for number in text.strip("[]() ").split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 4 or not (numbers[0] < numbers[2] and numbers[1] < numbers[3]):
        raise ConfigError(
            f"area is {text}; wanted a vector file, or minx,miny,maxx,maxy with minx < maxx and miny < maxy"
        )
    return numbers[0], numbers[1], numbers[2], numbers[3]


def area_on(grid: Grid, text: str | None, crs: str | None) -> Area | None:
    """Place an area of interest on a scene; None for the whole scene.

    Args:
        grid: Grid of the scene.
        text: A vector file, with `|layername=...` if it has several layers, or minx,miny,maxx,maxy; None for all.
        crs: CRS of a box, with longitude before latitude; None for the CRS of the scene. With a file, this must be
            None, since the file has its own CRS.

    Raises:
        NoOverlapError: No pixel of the scene lies in the area.
        RasterError: The file cannot be read, or its polygons cannot be transformed to the scene's CRS.
        ConfigError: The box or its CRS is invalid.
    """
    if text is None:
        return None
    box = box_of(text)
    if box is None and crs is not None:
        raise ConfigError(f"area-crs is {crs}, but the area {text} is a file with a CRS of its own; leave area-crs out")
    found = _file_polygons(text, grid) if box is None else _box_polygons(text, box, crs, grid)
    area = Area(shapely.transform(found, on_lattice), text if crs is None else f"{text} {crs}")
    if not area.intersects(Window(0, 0, grid.width, grid.height)):
        raise NoOverlapError(
            f"{grid.path}: has no pixel in the area {text}; the scene's CRS is {crs_name(grid.crs)}, its bounds are "
            f"{','.join(f'{side:.10g}' for side in _sides(grid))}; choose an area on the scene"
        )
    return area


def _file_polygons(text: str, grid: Grid) -> Polygons:
    # Imported here: reading vectors imports pandas, which is slow.
    from seg.raster.vectors.features import VectorLabels
    from seg.raster.vectors.placing import read_parcels

    name, _, layer = text.partition(LAYER)
    source = VectorLabels(Path(name), layer or None, options="--area=FILE|{}name=NAME")
    return read_parcels(source, grid).polygons


def _box_polygons(text: str, sides: Sides, crs: str | None, grid: Grid) -> Polygons:
    if crs is None:
        to_pixels = ~grid.transform
        box = shapely.transform(shapely.box(*sides), lambda x, y: to_pixels @ (x, y), interleaved=False)
        return np.array([box])
    import pyproj

    from seg.raster.vectors.placing import GivenBox, place_box

    try:
        given = pyproj.CRS.from_user_input(crs)
    except pyproj.exceptions.CRSError as error:
        raise ConfigError(f"area-crs is {crs}, an unknown CRS; wanted a CRS such as EPSG:4326") from error
    return place_box(GivenBox(f"area {text}", sides, given), grid)


def _corners(window: Window) -> Sides:
    return window.col_off, window.row_off, window.col_off + window.width, window.row_off + window.height


def _sides(grid: Grid) -> npt.NDArray[np.float64]:
    """Left, bottom, right and top of a scene in its CRS."""
    frame = shapely.box(0, 0, grid.width, grid.height)
    placed = shapely.transform(frame, lambda x, y: grid.transform @ (x, y), interleaved=False)
    sides: npt.NDArray[np.float64] = shapely.bounds(placed)
    return sides
