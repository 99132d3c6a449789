from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyproj
import pytest
import rasterio
from rasterio.crs import CRS

from seg.errors import RasterError
from seg.raster.grid import read_grid, require_same_grid
from seg.raster.ground.crs import crs_names, has_place, same_crs

UTM_50N = CRS.from_epsg(32650)


@pytest.mark.parametrize("code", [4526, 4547, 4513, 4491, 2362, 21420, 2333, 2422, 4490, 32650, 2154, 3035, 27700])
@pytest.mark.parametrize("version", ["WKT1_ESRI", "WKT1_GDAL"])
def test_a_crs_is_the_same_as_arcgis_and_geotiff_spell_it(
    code: int, version: str, write_raster: Callable[..., Path], tmp_path: Path
) -> None:
    spelled = CRS.from_wkt(pyproj.CRS(code).to_wkt(version))
    pixels = np.zeros((4, 4), dtype=np.uint8)
    image = write_raster(tmp_path / "image.tif", pixels, crs=CRS.from_epsg(code))
    mask = write_raster(tmp_path / "mask.tif", pixels, crs=spelled)
    with rasterio.open(mask) as stored:
        assert same_crs(stored.crs, CRS.from_epsg(code))
    require_same_grid(read_grid(mask), read_grid(image))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (4526, 4527),
        (4526, 4547),
        (2362, 4526),
        (21420, 4491),
        (32650, 32651),
        (4326, 4490),
    ],
    ids=["zone", "zone prefix", "Xian 1980", "Beijing 1954", "UTM zone", "datum"],
)
def test_different_crss_stay_different(one: int, other: int) -> None:
    assert not same_crs(CRS.from_epsg(one), CRS.from_epsg(other))


def test_vertical_crs_is_ignored() -> None:
    assert same_crs(CRS.from_user_input("EPSG:32650+5773"), UTM_50N)
    assert has_place(CRS.from_user_input("EPSG:32650+5773"))


def test_a_crs_differs_from_no_crs() -> None:
    assert same_crs(None, None)
    assert not same_crs(UTM_50N, None)


def test_two_different_crss_get_different_names_in_a_message() -> None:
    names = [
        f'PROJCS["site",GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],'
        f'PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],'
        f'PARAMETER["latitude_of_origin",0],PARAMETER["central_meridian",{middle}],PARAMETER["scale_factor",1],'
        f'PARAMETER["false_easting",0],PARAMETER["false_northing",0],UNIT["metre",1]]'
        for middle in (113, 114)
    ]
    first, second = (CRS.from_wkt(name) for name in names)
    assert not same_crs(first, second)
    assert len(set(crs_names(first, second))) == 2


def test_different_crss_are_refused_with_both_names(write_raster: Callable[..., Path], tmp_path: Path) -> None:
    pixels = np.zeros((4, 4), dtype=np.uint8)
    image = write_raster(tmp_path / "image.tif", pixels, crs=CRS.from_epsg(4526))
    mask = write_raster(tmp_path / "mask.tif", pixels, crs=CRS.from_epsg(4527))
    with pytest.raises(RasterError, match=r"mask\.tif: CRS is EPSG:4527, but .*image\.tif has EPSG:4526"):
        require_same_grid(read_grid(mask), read_grid(image))
