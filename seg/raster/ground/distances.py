"""Distances on the ground: how large a raster's pixels are there, and which rasters lie near each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Geod, Proj, Transformer

from seg.raster.grid import Grid

TRUE_SCALE = 0.005
"""A projected CRS is taken at its word where its metres differ from the ground's by less: UTM and most national grids.

Web Mercator does not keep to it: at 60 degrees north its metre is half a metre on the ground.
"""

_ELLIPSOID = Geod(ellps="WGS84")
_SMALL_RADIUS_M = 6_335_000.0
"""Below any radius of curvature of the Earth, so that distances on a sphere of it are never too long."""

_MILLIMETRE = 1e-3
_EDGE_PARTS = 20


@dataclass(frozen=True)
class _Footprint:
    grid: Grid
    points: NDArray[np.float64]
    lonlat: NDArray[np.float64]
    vectors: NDArray[np.float64]
    pixel_m: float
    metres_per_unit: float | None


def ground_pixel(grid: Grid) -> tuple[float, float] | None:
    """Height and width of a pixel in metres, where the raster's pixels are smallest; None if its place is unknown.

    The unit of a projected CRS counts where it is true to TRUE_SCALE; elsewhere it is measured on the WGS 84 ellipsoid.

    Args:
        grid: The raster's.
    """
    if grid.crs is None or not (grid.crs.is_projected or grid.crs.is_geographic):
        return None
    columns = np.array([grid.width / 2, 0, grid.width, 0, grid.width])
    rows = np.array([grid.height / 2, 0, 0, grid.height, grid.height])
    start = _lonlat(grid, columns, rows)
    ends = [_lonlat(grid, columns + right, rows + down) for right, down in ((0, 1), (1, 0))]
    sides = np.array([_ELLIPSOID.inv(*start.T, *end.T)[2] for end in ends])
    known = (np.isfinite(sides) & (sides > 0)).all(axis=0)
    if not known[0]:
        return None
    measured = sides[:, known]
    if grid.crs.is_projected:
        stated = np.array(grid.pixel_size[::-1]) * float(grid.crs.linear_units_factor[1])
        if (np.abs(measured / stated[:, None] - 1) < TRUE_SCALE).all():
            return float(stated[0]), float(stated[1])
    height, width = measured.min(axis=1)
    return float(height), float(width)


def near_pairs(grids: Sequence[Grid], guard_m: float) -> list[tuple[int, int]]:
    """Index pairs of the rasters that overlap or whose footprints lie nearer than a distance to each other.

    A raster without a CRS, or outside of the area that its CRS is made for, is near to none.

    Args:
        grids: The rasters'.
        guard_m: In metres; at 0 rasters may touch, and overlap by less than a quarter of a pixel.
    """
    prints = [(index, found) for index, grid in enumerate(grids) if (found := _footprint(grid)) is not None]
    if not prints:
        return []
    centres = np.array([found.vectors.mean(axis=0) for _, found in prints])
    spokes = (found.vectors - centre for (_, found), centre in zip(prints, centres, strict=True))
    reach = np.array([1.01 * np.linalg.norm(spoke, axis=1).max() for spoke in spokes])
    pairs = []
    for place, (index, found) in enumerate(prints[:-1]):
        others = slice(place + 1, None)
        apart = np.linalg.norm(centres[others] - centres[place], axis=1)
        for step in np.flatnonzero(apart <= reach[others] + reach[place] + guard_m):
            other_index, other = prints[place + 1 + int(step)]
            if _near(found, other, guard_m):
                pairs.append((index, other_index))
    return pairs


def _near(one: _Footprint, other: _Footprint, guard_m: float) -> bool:
    first, second = _polygons_in_metres(one, other)
    if first.distance(second) < guard_m - _MILLIMETRE:
        return True
    return bool(first.buffer(-one.pixel_m / 4).intersects(second.buffer(-other.pixel_m / 4)))


def _polygons_in_metres(one: _Footprint, other: _Footprint) -> tuple[shapely.Polygon, shapely.Polygon]:
    """Both outlines in their common CRS if that is true to scale, or else around the place where they are nearest."""
    if one.grid.crs == other.grid.crs and one.metres_per_unit is not None and other.metres_per_unit is not None:
        unit = one.metres_per_unit
        return shapely.Polygon(one.points * unit), shapely.Polygon(other.points * unit)
    between = np.linalg.norm(one.vectors[:, None] - other.vectors, axis=-1)
    nearest, farther = np.unravel_index(between.argmin(), between.shape)
    x, y, z = one.vectors[nearest] + other.vectors[farther]
    local = Proj(proj="aeqd", lon_0=np.degrees(np.arctan2(y, x)), lat_0=np.degrees(np.arctan2(z, np.hypot(x, y))))
    first, second = (shapely.Polygon(np.column_stack(local(*p.lonlat.T))) for p in (one, other))
    return first, second


def _footprint(grid: Grid) -> _Footprint | None:
    pixel = ground_pixel(grid)
    if pixel is None or grid.crs is None:
        return None
    along = np.arange(_EDGE_PARTS) / _EDGE_PARTS
    none, full = np.zeros(_EDGE_PARTS), np.ones(_EDGE_PARTS)
    columns = grid.width * np.concatenate([along, full, 1 - along, none])
    rows = grid.height * np.concatenate([none, along, full, 1 - along])
    lonlat = _lonlat(grid, columns, rows)
    if not np.isfinite(lonlat).all():
        return None
    lon, lat = np.radians(lonlat.T)
    vectors = _SMALL_RADIUS_M * np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    unit = float(grid.crs.linear_units_factor[1]) if grid.crs.is_projected else None
    true = unit is not None and np.allclose(pixel, np.array(grid.pixel_size[::-1]) * unit, rtol=1e-9)
    return _Footprint(grid, _points(grid, columns, rows), lonlat, vectors, min(pixel), unit if true else None)


def _points(grid: Grid, columns: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    t = grid.transform
    return np.column_stack([t.a * columns + t.b * rows + t.c, t.d * columns + t.e * rows + t.f])


def _lonlat(grid: Grid, columns: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    x, y = _points(grid, columns, rows).T
    assert grid.crs is not None
    return np.column_stack(_to_lonlat(grid.crs.to_wkt()).transform(x, y))


@lru_cache(maxsize=64)
def _to_lonlat(wkt: str) -> Transformer:
    return Transformer.from_crs(CRS.from_wkt(wkt), "EPSG:4326", always_xy=True)
