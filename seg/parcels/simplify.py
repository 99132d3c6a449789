"""Simplify outlines so that neighbours keep their common edges and no two parcels come to overlap.

Parcels that touch, at a corner at least, are simplified together (`shapely.coverage_simplify`), so a shared edge stays
one. Two such groups do not know of each other. But if a simplified group meets no parcel of another group as that one
was, and the other way round, then they do not overlap: an edge of the one could cross an edge of the other only if one
of its ends, which stay where they were, lay in what the other gained. So each group is compared with the others as they
were, and takes half the tolerance until it meets none of them. What becomes of it depends on the map alone, then.
"""

import numpy as np
import shapely

from seg.parcels.spool import Spool
from seg.raster.chips import Polygons
from seg.raster.ground.outlines import GroundMeasure

HALVINGS = 5
"""After so many, a group keeps its outlines: below a thirtieth of what was asked for, nothing is gained."""


def simplify_spooled(spool: Spool, tolerance_m: float, pixel_m: tuple[float, float], ground: GroundMeasure) -> None:
    """Simplify the parcels of a spool.

    Args:
        spool: Opened with boxes; its units are clusters of touching parcels.
        tolerance_m: Square root of the area in square metres that leaving out a vertex may change.
        pixel_m: Height and width of a pixel in metres.
        ground: Measures what comes of it.
    """
    for unit, first_pixels, polygons in spool.units():
        for halving in range(HALVINGS + 1):
            simpler = simplified(polygons, tolerance_m / 2**halving, pixel_m)
            if not any(_meets_others(spool, unit, polygon) for polygon in simpler):
                spool.put_simplified(first_pixels, simpler, ground.polygons(simpler))
                break


def simplified(polygons: Polygons, tolerance_m: float, pixel_m: tuple[float, float]) -> Polygons:
    """Polygons with fewer of their vertices, common edges kept common.

    Args:
        polygons: (P,) on the pixel lattice, a valid coverage.
        tolerance_m: Square root of an area in square metres.
        pixel_m: Height and width of a pixel in metres.
    """
    scale = np.array(pixel_m[::-1])
    in_metres = shapely.transform(polygons, lambda lattice: lattice * scale)
    simpler = shapely.coverage_simplify(in_metres, tolerance_m)
    on_lattice: Polygons = shapely.transform(simpler, lambda metres: np.rint(metres / scale))
    return on_lattice


def _meets_others(spool: Spool, unit: int, polygon: shapely.Polygon) -> bool:
    shapely.prepare(polygon)
    return any(shapely.intersects(polygon, others).any() for others in spool.others_near(unit, polygon))
