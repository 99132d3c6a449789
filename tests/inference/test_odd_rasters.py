"""Maps of unusual rasters are equal in blocks and in one piece, and have exactly the grid of the raster."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio import Affine
from rasterio.enums import ColorInterp
from rasterio.windows import Window

from seg.inference.augmentation import TestTimeAugmentation
from seg.inference.compute.member import Member
from seg.inference.compute.predictor import Predictor
from seg.inference.planning.plan import Plan
from seg.inference.scene import SceneMaps, predict_scene
from seg.inference.settings import PredictionSettings
from seg.labels import IGNORE
from seg.package.description import ModelPackage
from seg.raster.grid import read_grid

WriteRaster = Callable[..., Path]
Pixels = np.ndarray

REACH = 9
"""Receptive field of the network below, in pixels on each side."""

BLOCK = 64
ALPHA = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)


class Blur:
    """A network with a receptive field of `REACH`, which counts its images; it rounds, so that sums are exact."""

    name = "blur"
    ahead = 0
    bytes_per_channel = 36
    device_memory = None

    def __init__(self) -> None:
        self.images = 0

    def start(self, image: Pixels) -> Callable[[], Pixels]:
        self.images += 1
        normal = np.rint(np.clip((image.mean(axis=0, dtype=np.float64) - 100) / 50, -4, 4) * 64)
        for axis in (0, 1):
            padded = np.pad(normal, [(REACH, REACH) if axis == other else (0, 0) for other in (0, 1)])
            sums = np.cumsum(np.insert(padded, 0, 0, axis=axis), axis=axis)
            size = normal.shape[axis]
            normal = sums.take(np.arange(2 * REACH + 1, 2 * REACH + 1 + size), axis) - sums.take(np.arange(size), axis)
        probability = (1 / (1 + np.exp(-normal / 2000))).astype(np.float32)
        return lambda: probability


def silent(plan: Plan, done: int) -> None:
    """Report nothing."""


@pytest.fixture
def predictor(tiny_package: ModelPackage) -> Predictor:
    described = replace(tiny_package, stride=4, receptive_field=REACH, mean=(100.0,) * 3, pixel_size_m=None)
    return Predictor([Member(Blur(), described)], TestTimeAugmentation())


def noise(bands: int, height: int, width: int, dtype: str = "uint8") -> Pixels:
    """Numbers from 1 to 199."""
    return np.random.default_rng(height + width).integers(1, 200, (bands, height, width)).astype(dtype)


def hole(height: int, width: int) -> Pixels:
    """(H, W) bool, True where there is data: everywhere except in a rectangle in the middle and at one pixel."""
    valid = np.ones((height, width), dtype=bool)
    valid[height // 4 : height * 2 // 3, width // 4 : width // 2] = False
    valid[height - 1, width - 1] = False
    return valid


def check(scene: Path, predictor: Predictor, valid: Pixels, **options: object) -> SceneMaps:
    """Check that maps of a scene in blocks and in one piece are equal, and have its grid and its valid pixels."""
    maps = []
    for name, size in (("cut", BLOCK), ("whole", 8192)):
        settings = PredictionSettings(block_size=size, halo="receptive-field", **options)  # type: ignore[arg-type]
        maps.append(predict_scene(scene, scene.parent / f"{name}.tif", predictor, settings, silent))
    grid = read_grid(scene)
    for cut, whole in ((maps[0].classes, maps[1].classes), (maps[0].probability, maps[1].probability)):
        with rasterio.open(cut) as one, rasterio.open(whole) as other:
            pixels = one.read(1)
            np.testing.assert_array_equal(pixels, other.read(1))
            np.testing.assert_array_equal(pixels == IGNORE, ~valid)
            assert (one.shape, one.crs, one.transform) == ((grid.height, grid.width), grid.crs, grid.transform)
            assert (one.count, one.dtypes, one.nodata) == (1, ("uint8",), IGNORE)
    return maps[0]


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (3, 5), (REACH - 1, REACH - 2), (REACH - 1, 300)])
def test_the_smallest_and_thinnest_rasters_are_mapped(
    predictor: Predictor, write_raster: WriteRaster, tmp_path: Path, size: tuple[int, int]
) -> None:
    check(write_raster(tmp_path / "s.tif", noise(3, *size)), predictor, np.ones(size, dtype=bool))


LAYOUTS: dict[str, dict[str, object]] = {
    "one strip": {"tiled": False, "blockysize": 130},
    "strips of one row": {"tiled": False, "blockysize": 1},
    "strips that blocks cut": {"tiled": False, "blockysize": 50, "compress": "lzw"},
    "tiles that blocks cut": {"tiled": True, "blockxsize": 48, "blockysize": 80, "compress": "deflate"},
    "band after band": {"tiled": True, "blockxsize": 64, "blockysize": 64, "interleave": "band"},
    "big endian": {"ENDIANNESS": "BIG"},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rasters_of_every_layout_are_mapped(
    predictor: Predictor, write_raster: WriteRaster, tmp_path: Path, layout: str
) -> None:
    valid, pixels = hole(130, 170), noise(3, 130, 170)
    pixels[:, ~valid] = 0
    check(write_raster(tmp_path / "s.tif", pixels, nodata=0, **LAYOUTS[layout]), predictor, valid)


@pytest.mark.parametrize("driver", ["PNG", "ENVI"])
def test_rasters_of_other_formats_are_mapped(
    predictor: Predictor, write_raster: WriteRaster, tmp_path: Path, driver: str
) -> None:
    plain = write_raster(tmp_path / "plain.tif", noise(3, 130, 170))
    with rasterio.Env(GDAL_PAM_ENABLED=True):
        rasterio.shutil.copy(plain, tmp_path / "s.img", driver=driver)
    check(tmp_path / "s.img", predictor, np.ones((130, 170), dtype=bool))


@pytest.mark.parametrize("nodata", [None, np.nan, -9999.0])
def test_nan_and_infinity_in_float32_are_nodata(
    predictor: Predictor, write_raster: WriteRaster, tmp_path: Path, nodata: float | None
) -> None:
    valid, pixels = hole(130, 170), noise(3, 130, 170, "float32")
    pixels[1, ~valid] = np.nan
    pixels[2, 3, 4] = np.inf
    valid[3, 4] = False
    if nodata == -9999:
        pixels[0, 100, 150] = nodata
        valid[100, 150] = False
    check(write_raster(tmp_path / "s.tif", pixels, nodata=nodata), predictor, valid)


def test_pixels_hidden_by_an_alpha_band_are_nodata(
    predictor: Predictor, write_raster: WriteRaster, tmp_path: Path
) -> None:
    valid = hole(130, 170)
    pixels = np.concatenate([noise(3, 130, 170), 255 * valid[None].astype(np.uint8)])
    scene = write_raster(tmp_path / "s.tif", pixels, meanings=ALPHA)
    check(scene, predictor, valid)


@pytest.mark.parametrize("inside", [False, True])
def test_pixels_outside_a_mask_of_the_dataset_are_nodata(
    predictor: Predictor, write_raster: WriteRaster, tmp_path: Path, inside: bool
) -> None:
    valid = hole(130, 170)
    scene = write_raster(tmp_path / "s.tif", noise(3, 130, 170), mask=None if inside else valid)
    if inside:
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(scene, "r+") as dataset:
            dataset.write_mask(valid)
    assert (tmp_path / "s.tif.msk").exists() != inside
    check(scene, predictor, valid)


def test_other_negative_values_than_nodata_are_mapped(
    predictor: Predictor, write_raster: WriteRaster, tmp_path: Path
) -> None:
    valid, pixels = hole(130, 170), noise(3, 130, 170, "int16")
    pixels[2, ~valid] = -32768
    pixels[:, 0, 0] = -5  # negative, but not nodata
    check(write_raster(tmp_path / "s.tif", pixels, nodata=-32768), predictor, valid)


def test_a_scene_of_only_nodata_is_not_computed(
    predictor: Predictor, write_raster: WriteRaster, tmp_path: Path
) -> None:
    check(
        write_raster(tmp_path / "s.tif", np.zeros((3, 130, 170), np.uint8), nodata=0), predictor, hole(130, 170) & False
    )
    assert predictor.members[0].backend.images == 0


PLACES: dict[str, tuple[str | None, Affine]] = {
    "rotated": ("EPSG:32633", Affine.translation(5e5, 5e6) @ Affine.rotation(30) @ Affine.scale(10, -10)),
    "sheared, pixels not square": ("EPSG:32633", Affine(10, 2, 5e5, 1, -20, 5e6)),
    "south up": ("EPSG:32633", Affine(10, 0, 5e5, 0, 10, 5e6)),
    "no CRS": (None, Affine(10, 0, 5e5, 0, -10, 5e6)),
    "no CRS, no place": (None, Affine.identity()),
    "geographic": ("EPSG:4326", Affine(1e-4, 0, 11.3, 0, -1e-4, 48.2)),
    "odd numbers": ("EPSG:32633", Affine(9.999999999, 0, 500000.123456789, 0, -10.000000001, 5000000.987654321)),
    "a CRS without a code": (
        "+proj=aea +lat_1=25 +lat_2=47 +lat_0=0 +lon_0=105 +ellps=krass",
        Affine(30, 0, 1e5, 0, -30, 4e6),
    ),
}


@pytest.mark.parametrize("place", PLACES)
def test_rasters_with_unusual_georeferences_are_mapped(
    predictor: Predictor, write_raster: WriteRaster, tmp_path: Path, place: str
) -> None:
    crs, transform = PLACES[place]
    scene = write_raster(tmp_path / "s.tif", noise(3, 130, 170), crs=crs, transform=transform)
    check(scene, predictor, np.ones((130, 170), dtype=bool), pixel_size_ratio=100.0)


def test_chosen_bands_are_read_in_the_given_order(
    predictor: Predictor, write_raster: WriteRaster, tmp_path: Path
) -> None:
    valid, pixels = hole(130, 170), noise(8, 130, 170, "uint16")
    pixels[6, ~valid] = 0
    pixels[0] = 0  # a band that is not read may be nodata everywhere
    scene = write_raster(tmp_path / "eight.tif", pixels, nodata=0)
    eight = check(scene, predictor, valid, bands=[8, 2, 7])
    (tmp_path / "three").mkdir()
    three = check(write_raster(tmp_path / "three" / "s.tif", pixels[[7, 1, 6]], nodata=0), predictor, valid)
    with rasterio.open(eight.probability) as one, rasterio.open(three.probability) as other:
        np.testing.assert_array_equal(one.read(1), other.read(1))


def sparse(path: Path, bands: int, side: int, dtype: str, patch: Window) -> Path:
    """A sparse BigTIFF of nominally more than 4 GiB: only a patch is written, beyond the first 4 GiB."""
    profile = {"driver": "GTiff", "height": side, "width": side, "count": bands, "dtype": dtype, "nodata": 0}
    place = {"crs": "EPSG:32633", "transform": Affine(10, 0, 5e5, 0, -10, 5e6)}
    layout = {"tiled": True, "blockxsize": 256, "blockysize": 256, "SPARSE_OK": True, "BIGTIFF": "YES"}
    with rasterio.open(path, "w", **profile, **place, **layout, interleave="band"):
        pass
    os.truncate(path, 2**32 + 1000)
    with rasterio.open(path, "r+") as dataset:
        dataset.write(noise(bands, patch.height, patch.width, dtype), window=patch)
    assert bands * side * side * np.dtype(dtype).itemsize > 2**32
    with rasterio.open(path) as dataset:
        tile = f"BLOCK_OFFSET_{patch.col_off // 256}_{patch.row_off // 256}"
        assert int(dataset.get_tag_item(tile, "TIFF", bidx=1)) > 2**32
    return path


def test_a_sparse_bigtiff_beyond_4_gib_is_mapped(predictor: Predictor, tmp_path: Path) -> None:
    patch = Window(1700, 2100, 300, 200)
    scene = sparse(tmp_path / "s.tif", 128, 2900, "float32", patch)
    settings = PredictionSettings(block_size=256, halo="receptive-field", bands=[128, 1, 64])
    maps = predict_scene(scene, tmp_path / "map.tif", predictor, settings, silent)
    with rasterio.open(maps.probability) as dataset:
        found = dataset.read(1) != IGNORE
    assert found[patch.toslices()].all()
    assert found.sum() == 300 * 200
    assert predictor.members[0].backend.images == 2  # 2 of 144 blocks intersect the patch
    assert sum(file.stat().st_size for file in (maps.classes, maps.probability)) < 200_000


def test_pixels_are_mapped_if_one_of_two_dates_holds_data(
    predictor: Predictor, write_raster: WriteRaster, tmp_path: Path
) -> None:
    pixels = noise(3, 130, 170)
    first, second = hole(130, 170), np.ones((130, 170), dtype=bool)
    second[:40] = False
    pixels[:2, ~first] = pixels[2, ~second] = 0
    names = ("B04@2024-05-11", "B08@2024-05-11", "B04@2024-08-03")
    scene = write_raster(tmp_path / "s.tif", pixels, nodata=0, descriptions=names, tiled=True)
    check(scene, predictor, first | second)
