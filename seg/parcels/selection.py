"""Fill small holes, and select large parcels."""

from dataclasses import dataclass

import numpy as np
import shapely

from seg.parcels.corners import Integers
from seg.parcels.pieces import WholeParcels
from seg.parcels.rings import noded
from seg.parcels.settings import PolygonSettings
from seg.raster.chips import Polygons
from seg.raster.ground.outlines import Floats, GroundMeasure


@dataclass(frozen=True)
class Parcels:
    """Selected parcels on the pixel lattice.

    Attributes:
        polygons: (P,) outlines.
        first_pixels: (P,) first pixel of each parcel in row-major order, as row times width plus column.
        units: (P,) unit of each parcel; the number of a unit is the smallest of its parcels' first pixels.
        sizes: (P, 2) area in square metres and perimeter in metres.
        tallies: (P, TALLIES) counts in each parcel.
        filled: (F,) filled holes as polygons.
    """

    polygons: Polygons
    first_pixels: Integers
    units: Integers
    sizes: Floats
    tallies: Integers
    filled: Polygons


def selected(whole: WholeParcels, width: int, ground: GroundMeasure, settings: PolygonSettings) -> Parcels:
    """Fill small holes of parcels, then drop small parcels.

    Args:
        whole: Parcels of complete units.
        width: Columns of the raster.
        ground: Measure of areas on the ground.
        settings: Smallest parcel and hole to keep.
    """
    polygons = whole.outlines.polygons()
    if settings.interior is not None:
        polygons = noded(polygons)
    # The outer ring of a parcel begins at a corner of the parcel's first pixel.
    column, row = whole.outlines.vertices[whole.outlines.rings[whole.outlines.parcels[:-1]]].T
    first = row * width + column
    units = _first_of_unit(whole.units, first)
    polygons, filled = _holes_filled(polygons, ground, settings.min_hole_m2)
    sizes = ground.polygons(polygons)
    kept = sizes[:, 0] >= settings.min_area_m2
    return Parcels(polygons[kept], first[kept], units[kept], sizes[kept], whole.tallies[kept], filled)


def _first_of_unit(units: Integers, first: Integers) -> Integers:
    found, place = np.unique(units, return_inverse=True)
    lowest = np.full(len(found), np.iinfo(np.int64).max)
    np.minimum.at(lowest, place, first)
    return lowest[place]


def _holes_filled(polygons: Polygons, ground: GroundMeasure, smallest_m2: float) -> tuple[Polygons, Polygons]:
    """Polygons without their small holes, and the filled holes as polygons."""
    rings, index = shapely.get_rings(polygons, return_index=True)
    hole = np.flatnonzero(index[1:] == index[:-1]) + 1
    if smallest_m2 <= 0 or not len(hole):
        return polygons, np.empty(0, dtype=object)
    small = hole[ground.rings(rings[hole])[0] < smallest_m2]
    kept = np.ones(len(rings), dtype=bool)
    kept[small] = False
    filled: Polygons = shapely.polygons(rings[kept], indices=index[kept])
    return filled, shapely.polygons(rings[small])
