"""Distances on the ground: pixel sizes in metres, and rasters that lie near each other."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Geod, Proj, Transformer

from seg.raster.grid import Grid

TRUE_SCALE = 0.005
"""Largest scale error of a projected CRS whose coordinates count as ground distances.

The scale errors of UTM and of most national grids are smaller. The error of Web Mercator is larger: at 60 degrees
north, one metre of the CRS is half a metre on the ground.
"""

_ELLIPSOID = Geod(ellps="WGS84")
_SMALL_RADIUS_M = 6_335_000.0
"""Radius of a sphere in metres. No radius of curvature of the Earth is smaller, so distances on this sphere are never
longer than on the Earth."""

_MILLIMETRE = 1e-3
_EDGE_PARTS = 20
"""Number of points along each edge of a footprint. In another CRS, a straight edge becomes a curve."""


@dataclass(frozen=True)
class _Edge:
    """Points along a raster's edges.

    Attributes:
        lonlat: (N, 2) longitude and latitude in degrees.
        vectors: (N, 3) the same points as vectors in metres, on a sphere.
    """

    lonlat: NDArray[np.float64]
    vectors: NDArray[np.float64]


@dataclass(frozen=True)
class _Footprint:
    """Outline of a raster.

    Attributes:
        crs: The raster's CRS, as WKT.
        pixel_m: Smaller side of a pixel in metres.
        outline: Outline in metres, in the raster's CRS; None if that CRS is not true to scale.
        edge: Points along the outline on the Earth; None for a local CRS.
    """

    crs: str
    pixel_m: float
    outline: shapely.Polygon | None
    edge: _Edge | None = None


def ground_pixel(grid: Grid) -> tuple[float, float] | None:
    """Height and width of the raster's smallest pixel in metres; None if its location on the Earth is unknown.

    The unit of a projected CRS is used if its scale error is at most TRUE_SCALE; otherwise pixels are measured on the
    WGS 84 ellipsoid.

    Args:
        grid: Grid of the raster.
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
    if grid.metres_per_unit is not None:
        stated = np.array(grid.pixel_size[::-1]) * grid.metres_per_unit
        if (np.abs(measured / stated[:, None] - 1) < TRUE_SCALE).all():
            return float(stated[0]), float(stated[1])
    height, width = measured.min(axis=1)
    return float(height), float(width)


def near_pairs(grids: Sequence[Grid], guard_m: float) -> list[tuple[int, int]]:
    """Index pairs of rasters whose footprints overlap or lie nearer to each other than `guard_m`.

    A raster in a local CRS is compared only with rasters in the same CRS. A raster without a CRS, or outside the area
    of its CRS, is in no pair.

    Args:
        grids: Grids of the rasters.
        guard_m: Distance in metres. At 0, rasters that touch, or that overlap by less than a quarter of a pixel, do not
            count as a pair.
    """
    prints = {index: found for index, grid in enumerate(grids) if (found := _footprint(grid)) is not None}
    return sorted({*_pairs_of_one_crs(prints, guard_m), *_pairs_across(prints, guard_m)})


def _pairs_of_one_crs(prints: Mapping[int, _Footprint], guard_m: float) -> Iterator[tuple[int, int]]:
    """Near pairs of rasters in the same CRS, for each CRS that is true to scale."""
    groups: dict[str, list[int]] = defaultdict(list)
    for index, found in prints.items():
        if found.outline is not None:
            groups[found.crs].append(index)
    for members in groups.values():
        outlines = np.array([prints[index].outline for index in members])
        shrunk = shapely.buffer(outlines, [-prints[index].pixel_m / 4 for index in members])
        pairs = [shapely.STRtree(shrunk).query(shrunk, "intersects")]
        if guard_m > _MILLIMETRE:
            pairs.append(shapely.STRtree(outlines).query(outlines, "dwithin", guard_m - _MILLIMETRE))
        for one, other in np.concatenate(pairs, axis=1).T.tolist():
            if one < other:
                yield members[one], members[other]


def _pairs_across(prints: Mapping[int, _Footprint], guard_m: float) -> Iterator[tuple[int, int]]:
    """Near pairs of rasters in different CRSs, or in one CRS that is not true to scale."""
    placed = [(index, found, found.edge) for index, found in prints.items() if found.edge is not None]
    if not placed:
        return
    centres = np.array([edge.vectors.mean(axis=0) for _, _, edge in placed])
    spokes = (edge.vectors - centre for (_, _, edge), centre in zip(placed, centres, strict=True))
    reach = np.array([1.01 * np.linalg.norm(spoke, axis=1).max() for spoke in spokes])
    names = {crs: number for number, crs in enumerate({found.crs for _, found, _ in placed})}
    system = np.array([-1 if found.outline is None else names[found.crs] for _, found, _ in placed])
    for place, (index, found, edge) in enumerate(placed):
        rest = np.arange(place + 1, len(placed))
        rest = rest[(system[rest] != system[place]) | (system[place] == -1)]
        apart = np.linalg.norm(centres[rest] - centres[place], axis=1)
        for step in rest[apart <= reach[rest] + reach[place] + guard_m].tolist():
            other_index, other, other_edge = placed[step]
            if _near(edge, other_edge, (found.pixel_m, other.pixel_m), guard_m):
                yield index, other_index


def _near(one: _Edge, other: _Edge, pixels_m: tuple[float, float], guard_m: float) -> bool:
    """True if two footprints are near, measured on a plane that touches the Earth at their nearest points."""
    between = np.linalg.norm(one.vectors[:, None] - other.vectors, axis=-1)
    nearest, farther = np.unravel_index(between.argmin(), between.shape)
    x, y, z = one.vectors[nearest] + other.vectors[farther]
    local = Proj(proj="aeqd", lon_0=np.degrees(np.arctan2(y, x)), lat_0=np.degrees(np.arctan2(z, np.hypot(x, y))))
    first, second = (shapely.Polygon(np.column_stack(local(*edge.lonlat.T))) for edge in (one, other))
    if first.distance(second) < guard_m - _MILLIMETRE:
        return True
    return bool(first.buffer(-pixels_m[0] / 4).intersects(second.buffer(-pixels_m[1] / 4)))


def _footprint(grid: Grid) -> _Footprint | None:
    if grid.crs is None:
        return None
    along = np.arange(_EDGE_PARTS) / _EDGE_PARTS
    none, full = np.zeros(_EDGE_PARTS), np.ones(_EDGE_PARTS)
    columns = grid.width * np.concatenate([along, full, 1 - along, none])
    rows = grid.height * np.concatenate([none, along, full, 1 - along])
    points = np.column_stack(grid.transform @ (columns, rows))
    crs = grid.crs.to_wkt()
    if not (grid.crs.is_projected or grid.crs.is_geographic):
        return _Footprint(crs, min(grid.pixel_size), shapely.Polygon(points))
    pixel = ground_pixel(grid)
    lonlat = _lonlat(grid, columns, rows)
    if pixel is None or not np.isfinite(lonlat).all():
        return None
    lon, lat = np.radians(lonlat.T)
    vectors = _SMALL_RADIUS_M * np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    unit = grid.metres_per_unit
    true = unit is not None and np.allclose(pixel, np.array(grid.pixel_size[::-1]) * unit, rtol=1e-9)
    return _Footprint(crs, min(pixel), shapely.Polygon(points * unit) if true else None, _Edge(lonlat, vectors))


def _lonlat(grid: Grid, columns: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Longitude and latitude of pixel coordinates, (N, 2) in degrees on WGS 84."""
    assert grid.crs is not None
    return np.column_stack(_to_lonlat(grid.crs.to_wkt()).transform(*(grid.transform @ (columns, rows))))


@lru_cache(maxsize=64)
def _to_lonlat(wkt: str) -> Transformer:
    return Transformer.from_crs(CRS.from_wkt(wkt), "EPSG:4326", always_xy=True)
