"""Which holes are filled, and which parcels are large enough to be kept."""

from dataclasses import dataclass

import numpy as np
import shapely

from seg.parcels.corners import Integers
from seg.parcels.pieces import WholeParcels
from seg.parcels.settings import PolygonSettings
from seg.raster.chips import Polygons
from seg.raster.ground.outlines import Floats, GroundMeasure


@dataclass(frozen=True)
class Parcels:
    """Parcels that are ready to be kept, on the pixel lattice.

    Attributes:
        polygons: (P,) their outlines.
        first_pixels: (P,) the first pixel of each in row-major order, as row times width plus column.
        units: (P,) the unit of each, by the first pixel among its parcels.
        sizes: (P, 2) area in square metres and perimeter in metres.
        tallies: (P, TALLIES) what was counted in them.
        filled: (F,) the holes that were filled, as polygons.
    """

    polygons: Polygons
    first_pixels: Integers
    units: Integers
    sizes: Floats
    tallies: Integers
    filled: Polygons


def selected(whole: WholeParcels, width: int, ground: GroundMeasure, settings: PolygonSettings) -> Parcels:
    """The parcels as they are kept: small holes filled, then small parcels left out.

    Args:
        whole: The parcels of some units, each of them complete.
        width: Columns of the raster.
        ground: Measures areas.
        settings: What is small.
    """
    polygons = whole.outlines.polygons()
    if settings.interior is not None:
        polygons = noded(polygons)
    # The first corner of the shell is that of the first pixel.
    column, row = whole.outlines.vertices[whole.outlines.rings[whole.outlines.parcels[:-1]]].T
    first = row * width + column
    units = _first_of_unit(whole.units, first)
    polygons, filled = _holes_filled(polygons, ground, settings.min_hole_m2)
    sizes = ground.polygons(polygons)
    kept = sizes[:, 0] >= settings.min_area_m2
    return Parcels(polygons[kept], first[kept], units[kept], sizes[kept], whole.tallies[kept], filled)


def noded(polygons: Polygons) -> Polygons:
    """Polygons with a vertex wherever another one has a corner on their edges, so that shared edges are the same.

    Args:
        polygons: (P,) on the pixel lattice, with edges along rows and columns.
    """
    coordinates, ring = shapely.get_coordinates(rings := shapely.get_rings(polygons), return_index=True)
    if not len(rings):
        return polygons
    vertices = coordinates.astype(np.int64)
    edges = np.flatnonzero(ring[1:] == ring[:-1])
    start, end = vertices[edges], vertices[edges + 1]
    inserted, owner = [], []
    for along in (0, 1):
        # Vertices sorted along the lines of the lattice: those of an edge lie between its ends.
        key = vertices[:, 1 - along] * (vertices.max() + 1) + vertices[:, along]
        lines, places = np.unique(key, return_index=True)
        on = np.flatnonzero(start[:, 1 - along] == end[:, 1 - along])
        base = start[on, 1 - along] * (vertices.max() + 1)
        low = np.searchsorted(lines, base + np.minimum(start[on, along], end[on, along]), side="right")
        high = np.searchsorted(lines, base + np.maximum(start[on, along], end[on, along]), side="left")
        count = high - low
        step = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        inserted.append(vertices[places[np.repeat(low, count) + step]])
        owner.append(edges[np.repeat(on, count)])
    if not sum(map(len, owner)):
        return polygons
    return _with_vertices(polygons, vertices, np.concatenate(inserted), np.concatenate(owner))


def _with_vertices(polygons: Polygons, vertices: Integers, inserted: Integers, edge: Integers) -> Polygons:
    """Polygons with vertices inserted into edges, each numbered by its first vertex."""
    from_start = np.abs(inserted - vertices[edge]).sum(axis=1)
    place = np.concatenate([np.arange(len(vertices)), edge])
    order = np.lexsort((np.concatenate([np.zeros(len(vertices), np.int64), from_start]), place))
    every = np.concatenate([vertices, inserted])[order].astype(np.float64)
    _, _, (ring_offsets, polygon_offsets) = shapely.to_ragged_array(polygons)
    moved = np.searchsorted(place[order], ring_offsets)
    noded: Polygons = shapely.from_ragged_array(shapely.GeometryType.POLYGON, every, (moved, polygon_offsets))
    return noded


def _first_of_unit(units: Integers, first: Integers) -> Integers:
    found, place = np.unique(units, return_inverse=True)
    lowest = np.full(len(found), np.iinfo(np.int64).max)
    np.minimum.at(lowest, place, first)
    return lowest[place]


def _holes_filled(polygons: Polygons, ground: GroundMeasure, smallest_m2: float) -> tuple[Polygons, Polygons]:
    """Polygons without their small holes, and these as polygons."""
    rings, index = shapely.get_rings(polygons, return_index=True)
    hole = np.flatnonzero(index[1:] == index[:-1]) + 1
    if smallest_m2 <= 0 or not len(hole):
        return polygons, np.empty(0, dtype=object)
    small = hole[ground.rings(rings[hole])[0] < smallest_m2]
    kept = np.ones(len(rings), dtype=bool)
    kept[small] = False
    filled: Polygons = shapely.polygons(rings[kept], indices=index[kept])
    return filled, shapely.polygons(rings[small])
