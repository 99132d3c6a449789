"""Common grid of bands with different pixel sizes, and the place of each band on this grid."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rasterio import Affine

from seg.errors import RasterError
from seg.imagery.product import SourceBand
from seg.raster.grid import Grid, read_grid
from seg.raster.ground.crs import crs_names, same_crs

APART = 0.01
"""Largest accepted displacement between bands of equal pixel size, in pixels. GDAL does not interpolate such bands and
ignores their displacement."""

EQUAL_SIZE = 1e-6
"""Largest relative difference between pixel sizes that count as equal."""

_DIGITS = 9
"""Number of decimals of pixel positions; further decimals are rounding errors of the transforms."""


@dataclass(frozen=True)
class Place:
    """Rectangle that a band covers on the grid of a scene, in pixels of the scene, from the upper left corner.

    Attributes:
        left: Column of the left edge; negative if the band begins outside the scene.
        top: Row of the upper edge.
        width: Width of the whole band.
        height: Height of the whole band.
        step: Pixel size of the band in pixels of the scene: 2 for a band of 20 m on a grid of 10 m.
    """

    left: float
    top: float
    width: float
    height: float
    step: float

    @property
    def resampling(self) -> str | None:
        """GDAL's resampling method for image data; None if the pixel sizes are equal."""
        if abs(self.step - 1) < EQUAL_SIZE:
            return None
        return "bilinear" if self.step > 1 else "average"

    def covers(self, scene: Grid, beyond: float = 0.0) -> bool:
        """True if the rectangle covers a scene; at each edge, up to `beyond` pixels of the scene may be missing."""
        right, bottom = scene.width - self.left - self.width, scene.height - self.top - self.height
        return max(self.left, self.top, right, bottom) <= beyond


def band_grid(band: SourceBand) -> Grid:
    """Grid of a band's file. For a file without a CRS, the product's metadata give CRS and transform.

    Raises:
        RasterError: The file cannot be opened or lacks the band.
    """
    grid = read_grid(band.file)
    if not 1 <= band.index <= grid.bands:
        raise RasterError(f"{grid.path}: has {grid.bands} bands, wanted band {band.index} ({band.name})")
    if band.georeference is not None and grid.crs is None:
        return replace(grid, crs=band.georeference.crs, transform=band.georeference.transform)
    return grid


def common_grid(grids: Sequence[Grid], resolution: float | None) -> Grid:
    """Grid of a scene: the grid of the band with the smallest pixels, or a grid with the wanted pixel size.

    A new pixel size keeps the upper left corner, so that pixels of all sizes share their edges.

    Args:
        grids: Grids of the bands.
        resolution: Pixel size in units of the CRS; the smallest of the bands by default.
    """
    finest = min(grids, key=lambda grid: math.prod(grid.pixel_size))
    if resolution is None:
        return finest
    equal = next((grid for grid in grids if _is_equal(grid.pixel_size[0], resolution)), None)
    if equal is not None:
        return equal
    wide, high = (size / resolution for size in finest.pixel_size)
    width, height = (math.ceil(round(count, _DIGITS)) for count in (finest.width * wide, finest.height * high))
    return replace(finest, width=width, height=height, transform=finest.transform @ Affine.scale(1 / wide, 1 / high))


def place_on(band: Grid, scene: Grid) -> Place:
    """Place of a raster on the grid of a scene.

    Raises:
        RasterError: The CRSs differ, one grid is rotated against the other, rasters of equal pixel size are displaced
            by a fraction of a pixel, or the raster lies outside the scene.
    """
    if not same_crs(band.crs, scene.crs):
        name, wanted = crs_names(band.crs, scene.crs)
        raise RasterError(
            f"{band.path}: CRS is {name}, but other bands have {wanted}; choose bands of one CRS, or combine them with "
            "prepare.py composite"
        )
    onto = ~scene.transform @ band.transform
    step = onto.a
    place = Place(*(round(value, _DIGITS) for value in (onto.c, onto.f, step * band.width, onto.e * band.height, step)))
    if max(abs(onto.b), abs(onto.d), abs(onto.a - onto.e)) > EQUAL_SIZE * abs(step) or step <= 0:
        raise RasterError(
            f"{band.path}: its pixels are rotated, mirrored or stretched against those of other bands; bring it to "
            "their grid (gdalwarp), or leave it out with --bands"
        )
    shift = max(abs(offset - round(offset)) for offset in (place.left, place.top))
    if place.resampling is None and shift > APART:
        raise RasterError(
            f"{band.path}: lies {shift:.3g} pixels off the grid of other bands; bring it to their grid (gdalwarp), or "
            "leave it out with --bands"
        )
    if (
        place.left >= scene.width
        or place.top >= scene.height
        or min(place.left + place.width, place.top + place.height) <= 0
    ):
        raise RasterError(f"{band.path}: does not overlap the other bands; with --bands, choose bands of one place")
    return place


def _is_equal(size: float, wanted: float) -> bool:
    return abs(size - wanted) <= EQUAL_SIZE * wanted
