from pathlib import Path

from rasterio import Affine
from rasterio.crs import CRS

from seg.data.splitting.scenes import group_neighbours
from seg.raster.grid import Grid


def square_at(east: float) -> Grid:
    """Square of 1 km with its left edge at an easting in metres."""
    transform = Affine(10, 0, 500_000 + east, 0, -10, 4_500_000)
    return Grid(Path(f"{east}.tif"), 100, 100, 1, CRS.from_epsg(32616), transform, None, "uint8")


def test_scenes_are_grouped_through_intermediate_scenes() -> None:
    grids = [square_at(east) for east in (2080, 9000, 0, 1040)]
    assert group_neighbours(grids, guard_m=100) == [[0, 2, 3], [1]]


def test_distant_scenes_have_separate_groups() -> None:
    assert group_neighbours([square_at(0), square_at(1100)], guard_m=100) == [[0], [1]]
    assert group_neighbours([], guard_m=100) == []
