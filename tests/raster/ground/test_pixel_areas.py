from pathlib import Path

import numpy as np
import pytest
from pyproj import Geod, Transformer
from rasterio import Affine
from rasterio.crs import CRS
from rasterio.windows import Window

from seg.errors import RasterError
from seg.raster.grid import Grid
from seg.raster.ground.pixel_areas import PixelAreas

UTM = CRS.from_epsg(32633)
WGS_84 = CRS.from_epsg(4326)
DENSE = 50


def grid_of(crs: CRS | None, transform: Affine, height: int = 40, width: int = 30) -> Grid:
    return Grid(Path("map.tif"), height, width, 1, crs, transform, None, "uint8")


def geodesic(grid: Grid, row: int, column: int) -> float:
    """Area of a pixel as a geodesic polygon of pyproj; edges have many vertices, since parallels are not geodesics."""
    along = np.arange(DENSE) / DENSE
    none, full = np.zeros(DENSE), np.ones(DENSE)
    columns = column + np.concatenate([along, full, 1 - along, none])
    rows = row + np.concatenate([none, along, full, 1 - along])
    t = grid.transform
    x, y = t.a * columns + t.b * rows + t.c, t.d * columns + t.e * rows + t.f
    lon, lat = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True).transform(x, y)
    return abs(float(Geod(ellps="WGS84").polygon_area_perimeter(lon, lat)[0]))


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        (WGS_84, Affine(0.25, 0, 100, 0, -0.25, 50)),
        (WGS_84, Affine(1e-4, 0, 100, 0, -1e-4, 0.002)),
        (WGS_84, Affine(0.5, 0, 0, 0, 0.5, -90)),
        (UTM, Affine(10, 0, 500_000, 0, -10, 5_000_000)),
        (UTM, Affine(8, 6, 800_000, 6, -8, 7_000_000)),
        (UTM, Affine(20_000, 0, 300_000, 0, -20_000, 6_000_000)),
        (CRS.from_epsg(3857), Affine(30, 0, 11_000_000, 0, -30, 5_500_000)),
        (CRS.from_epsg(3035), Affine(1000, 0, 4_000_000, 0, -1000, 3_000_000)),
        (CRS.from_epsg(2263), Affine(30, 0, 1_000_000, 0, -30, 200_000)),
        (CRS.from_epsg(4526), Affine(2, 0, 38_500_000, 0, -2, 3_500_000)),
    ],
    ids=[
        "degrees",
        "small degrees",
        "pole",
        "UTM",
        "turned",
        "wide",
        "web",
        "equal-area",
        "feet",
        "CGCS2000",
    ],
)
def test_areas_equal_geodesic_polygons(crs: CRS, transform: Affine) -> None:
    grid = grid_of(crs, transform)
    areas = PixelAreas(grid).window(Window(0, 0, 30, 40))
    for row, column in ((0, 0), (39, 29), (17, 3)):
        assert areas[row, column] == pytest.approx(geodesic(grid, row, column), rel=2e-6)


def test_areas_do_not_depend_on_the_window() -> None:
    grid = grid_of(UTM, Affine(30, 0, 700_000, 0, -30, 5_000_000), 500, 700)
    areas = PixelAreas(grid)
    whole = areas.window(Window(0, 0, 700, 500))
    np.testing.assert_allclose(areas.window(Window(130, 77, 200, 65)), whole[77:142, 130:330], rtol=1e-7)
    rows, columns = np.array([0, 499, 250]), np.array([699, 0, 3])
    np.testing.assert_allclose(areas.at(rows, columns), whole[rows, columns], rtol=1e-7)


def test_the_whole_earth_in_degrees_is_as_large_as_the_ellipsoid() -> None:
    grid = grid_of(WGS_84, Affine(10, 0, -180, 0, -10, 90), 18, 36)
    assert PixelAreas(grid).window(Window(0, 0, 36, 18)).sum() == pytest.approx(510_065_621_724_088.5, rel=1e-12)


def test_utm_areas_differ_from_ground_areas() -> None:
    grid = grid_of(UTM, Affine(10, 0, 500_000, 0, -10, 5_000_000), 4, 4)
    assert PixelAreas(grid).window(Window(0, 0, 1, 1)).item() == pytest.approx(100 / 0.9996**2, rel=1e-7)


@pytest.mark.parametrize(
    ("crs", "transform", "wanted"),
    [
        (None, Affine.identity(), "has no CRS"),
        (WGS_84, Affine(0.1, 0.1, 0, 0.1, -0.1, 0), "north up"),
        (WGS_84, Affine(1, 0, 0, 0, -1, 100), "10 degrees beyond a pole"),
        (UTM, Affine(1e6, 0, 9e7, 0, -1e6, 9e7), "beyond the area of"),
        (CRS.from_wkt('LOCAL_CS["plan",UNIT["metre",1]]'), Affine.identity(), "neither geographic nor projected"),
    ],
)
def test_areas_of_unknown_ground_are_refused_in_one_line(crs: CRS | None, transform: Affine, wanted: str) -> None:
    with pytest.raises(RasterError, match=wanted) as caught:
        PixelAreas(grid_of(crs, transform)).window(Window(0, 0, 30, 40))
    assert "map.tif" in str(caught.value)
    assert "\n" not in str(caught.value)
