import numpy as np
import pytest
import shapely
from pyproj import Geod
from rasterio import Affine
from rasterio.crs import CRS

from seg.errors import RasterError
from seg.raster.grid import Grid
from seg.raster.ground.outlines import GroundMeasure, on_map
from seg.raster.ground.pixel_areas import PixelAreas
from seg.raster.windows import Window

GRIDS = {
    "utm": ("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 5_000_000)),
    "degrees": ("EPSG:4326", Affine(1e-4, 0, 10, 0, -1e-4, 52)),
    "mercator": ("EPSG:3857", Affine(10, 0, 1e6, 0, -10, 8e6)),
    "feet": ("EPSG:2263", Affine(30, 0, 980_000, 0, -30, 200_000)),
    "large pixels": ("EPSG:4326", Affine(0.05, 0, 10, 0, -0.05, 52)),
    "south up": ("EPSG:32633", Affine(10, 0, 500_000, 0, 10, 5_000_000)),
    "national": ("EPSG:2180", Affine(10, 0, 500_000, 0, -10, 500_000)),
}


def make_grid(crs: str | None, transform: Affine) -> Grid:
    return Grid("map.tif", 40, 40, 1, crs and CRS.from_string(crs), transform, 255, "uint8")


@pytest.mark.parametrize("name", GRIDS)
def test_area_is_the_sum_of_the_pixel_areas(name: str) -> None:
    grid = make_grid(*GRIDS[name])
    polygon = shapely.box(3, 4, 33, 36) - shapely.box(10, 10, 20, 15)
    pixels = PixelAreas(grid).window(Window(0, 0, 40, 40)).copy()
    pixels[10:15, 10:20] = 0
    [[area, _]] = GroundMeasure(grid).polygons(np.array([polygon]))
    assert area == pytest.approx(pixels[4:36, 3:33].sum(), rel=2e-6)


def test_perimeter_is_geodesic_and_includes_holes() -> None:
    grid = make_grid(*GRIDS["degrees"])
    shell, hole = shapely.box(3, 4, 33, 36), shapely.box(10, 10, 20, 15)
    [[_, length]] = GroundMeasure(grid).polygons(np.array([shell - hole]))
    placed = [shapely.LinearRing(on_map(grid, shapely.get_coordinates(box))) for box in (shell, hole)]
    assert length == pytest.approx(sum(Geod(ellps="WGS84").geometry_length(ring) for ring in placed), rel=1e-9)


def test_turned_raster_has_the_same_areas() -> None:
    turned = make_grid("EPSG:32633", Affine.translation(5e5, 5e6) @ Affine.rotation(30) @ Affine.scale(10, -10))
    box = np.array([shapely.box(0, 0, 10, 10)])
    assert GroundMeasure(turned).polygons(box)[0, 0] == pytest.approx(10_000, rel=1e-3)


@pytest.mark.parametrize(
    ("crs", "transform", "message"),
    [
        (None, GRIDS["utm"][1], "map.tif: has no CRS, so the areas of its parcels are unknown"),
        ("EPSG:32633", Affine.identity(), "map.tif: has no valid transform"),
        ('LOCAL_CS["site",UNIT["metre",1]]', GRIDS["utm"][1], "map.tif: its CRS .* does not refer to the Earth"),
    ],
)
def test_missing_georeference_is_refused(crs: str | None, transform: Affine, message: str) -> None:
    with pytest.raises(RasterError, match=message):
        GroundMeasure(make_grid(crs, transform))


def test_place_beyond_the_projection_is_refused() -> None:
    grid = make_grid("EPSG:32633", Affine(10, 0, 1e9, 0, -10, 1e9))
    with pytest.raises(RasterError, match="reaches beyond the area of EPSG:32633"):
        GroundMeasure(grid).polygons(np.array([shapely.box(0, 0, 1, 1)]))
