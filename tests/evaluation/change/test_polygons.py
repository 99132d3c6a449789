from collections.abc import Callable
from pathlib import Path

import geopandas
import numpy as np
import pytest
from rasterio import Affine

from seg.evaluation.change.maps import Maps
from seg.evaluation.change.run import measure_change
from seg.evaluation.settings import ChangeSettings

WriteRaster = Callable[..., Path]

PLACES = {
    "degrees": {"crs": "EPSG:4326", "transform": Affine(0.01, 0, 110, 0, -0.02, 50)},
    "turned": {"crs": "EPSG:32633", "transform": Affine(8, 6, 700_000, 6, -8, 5_000_000)},
    "web": {"crs": "EPSG:3857", "transform": Affine(30, 0, 11_000_000, 0, -30, 5_500_000)},
}


@pytest.mark.parametrize("place", PLACES)
def test_polygons_have_the_area_of_the_changed_pixels(write_raster: WriteRaster, tmp_path: Path, place: str) -> None:
    before, after = np.random.default_rng(0).integers(0, 2, (2, 60, 70)).astype(np.uint8)
    maps = Maps(*(write_raster(tmp_path / f"{i}.tif", one, **PLACES[place]) for i, one in enumerate((before, after))))
    content = measure_change(maps, tmp_path / "out", ChangeSettings())
    found = geopandas.read_file(tmp_path / "out" / "change.gpkg").groupby("change")["area"].sum()
    areas = content["area_ha"]
    assert isinstance(areas, dict)
    assert found["gained"] == pytest.approx(areas["gained_cropland"], rel=2e-6)
    assert found["lost"] == pytest.approx(areas["lost_cropland"], rel=2e-6)
