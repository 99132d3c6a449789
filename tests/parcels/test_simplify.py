from pathlib import Path

import numpy as np
import shapely

from seg.parcels.selection import Parcels
from seg.parcels.spool import Spool
from seg.parcels.write_parcels import simplified, simplify_spooled
from seg.raster.grid import Grid
from seg.raster.ground.outlines import GroundMeasure
from support.parcel_maps import PLACE

PIXEL_M = (10.0, 10.0)
GRID = Grid(Path("map.tif"), 100, 100, 1, PLACE["crs"], PLACE["transform"], 255, "uint8")


class Flat(GroundMeasure):
    """Stand-in measure that returns zeros; these tests use neither areas nor perimeters."""

    def __init__(self) -> None: ...

    def polygons(self, polygons: np.ndarray) -> np.ndarray:
        return np.zeros((len(polygons), 2))


def spooled(path: Path, polygons: list[shapely.Polygon], units: list[int], tolerance: float) -> list[shapely.Polygon]:
    """Simplified polygons; polygons of one unit are simplified together."""
    count = len(polygons)
    numbers = np.arange(count)
    with Spool.opened(path / "spool.sqlite", 100, boxes=True) as spool:
        zeros = np.zeros((count, 3), np.int64)
        spool.add(
            Parcels(
                np.array(polygons), numbers, np.array(units), zeros[:, :2].astype(float), zeros, np.array([], object)
            )
        )
        simplify_spooled(spool, tolerance, PIXEL_M, Flat())
        return [polygon for batch in spool.in_order() for polygon in batch.polygons]


def test_vertices_stay_on_the_lattice() -> None:
    stairs = shapely.union_all([shapely.box(0, 0, 12 - row, row + 1) for row in range(8)])
    [found] = simplified(np.array([stairs]), 15.0, (10.0, 7.3))
    coordinates = shapely.get_coordinates(found)
    assert len(coordinates) < len(shapely.get_coordinates(stairs))
    assert (coordinates == np.rint(coordinates)).all()
    assert {*map(tuple, coordinates)} <= {*map(tuple, shapely.get_coordinates(stairs))}


def test_a_simplified_parcel_does_not_overlap_a_parcel_in_its_bay(tmp_path: Path) -> None:
    around = shapely.box(0, 0, 9, 9) - shapely.box(4, 3, 5, 9)  # a bay that is one pixel wide
    within = shapely.box(4, 6, 5, 7)
    # Alone, the outer parcel loses its bay when it is simplified; a parcel in the bay must prevent this. The inner
    # parcel of this test touches the edges of the bay, which is harder than any map.
    alone = spooled(tmp_path, [around], [0], 60.0)
    assert alone[0].area > around.area + 3
    (tmp_path / "spool.sqlite").unlink()
    both = spooled(tmp_path, [around, within], [0, 1], 60.0)
    assert both[0].intersection(both[1]).area == 0
