"""A map of four counties, its reference and its zones."""

from collections.abc import Callable
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely

from seg.labels import IGNORE

WriteRaster = Callable[..., Path]

HEIGHT, WIDTH = 120, 150
LEFT, TOP, PIXEL = 500_000, 5_000_000, 10
NAMES = ("东县", "西县", "=南县", "north, far")


def box(left: float, top: float, right: float, bottom: float) -> shapely.Polygon:
    """Box in the CRS of the map, given in pixels of the map."""
    return shapely.box(LEFT + PIXEL * left, TOP - PIXEL * bottom, LEFT + PIXEL * right, TOP - PIXEL * top)


def counties() -> geopandas.GeoDataFrame:
    """Four counties that meet at column 70.3 and row 50.6; the two lower counties reach 40 rows beyond the map."""
    boxes = [box(0, 0, 70.3, 50.6), box(70.3, 0, 150, 50.6), box(0, 50.6, 70.3, 160), box(70.3, 50.6, 150, 160)]
    table = {"code": [1, 2, 3, 4], "name": list(NAMES)}
    return geopandas.GeoDataFrame(table, geometry=boxes, crs="EPSG:32633")


@pytest.fixture
def place(write_raster: WriteRaster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder with map.tif (IGNORE in its first 6 rows and columns), reference.tif and counties.gpkg."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(1)
    truth = (random.random((HEIGHT // 10, WIDTH // 10)) < 0.4).repeat(10, 0).repeat(10, 1).astype(np.uint8)
    mapped = np.where(random.random(truth.shape) < 0.1, 1 - truth, truth).astype(np.uint8)
    mapped[:6, :6] = IGNORE
    write_raster("map.tif", mapped, nodata=IGNORE)
    write_raster("reference.tif", truth)
    counties().to_file("counties.gpkg")
    return tmp_path
