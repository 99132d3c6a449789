from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from rasterio.windows import Window

from seg.errors import DamageError
from seg.raster.chips import Reading, read_chip
from seg.raster.damaged import is_unwritten, open_damaged, read_damaged
from seg.raster.grid import open_raster
from support.damage import damage_tile

WriteRaster = Callable[..., Path]
READING = Reading([1, 2], [7.0, 8.0])
WHOLE = Window(0, 0, 100, 90)


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(1, 60_000, (2, 90, 100)).astype(np.uint16)


@pytest.fixture(params=["1", "ALL_CPUS"])
def threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let GDAL decode with this number of threads."""
    monkeypatch.setenv("GDAL_NUM_THREADS", request.param)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("interleave", ["pixel", "band"])
def test_only_the_damaged_tile_is_lost(
    tmp_path: Path, write_raster: WriteRaster, pixels: np.ndarray, interleave: str
) -> None:
    options = {"tiled": True, "blockxsize": 32, "blockysize": 32, "compress": "deflate", "interleave": interleave}
    path = write_raster(tmp_path / "scene.tif", pixels, **options)
    damage_tile(path, row=1, column=2, band=2)
    wanted = np.zeros((90, 100), dtype=bool)
    wanted[32:64, 64:96] = True
    with open_damaged(path) as dataset:
        for window in (WHOLE, Window(50, 20, 40, 30)):
            with pytest.raises(DamageError):
                read_chip(dataset, window, READING)
            for _ in range(2):
                chip, lost = read_damaged(dataset, window, READING)
            part = window.toslices()
            np.testing.assert_array_equal(lost, wanted[part])
            np.testing.assert_array_equal(chip.valid, ~wanted[part])
            np.testing.assert_array_equal(chip.image[:, chip.valid], pixels[(slice(None), *part)][:, chip.valid])
            assert set(chip.image[0][lost]) == {7.0}
            assert set(chip.image[1][lost]) == {8.0}


def test_a_striped_file_loses_only_damaged_strips(
    tmp_path: Path, write_raster: WriteRaster, pixels: np.ndarray
) -> None:
    path = write_raster(tmp_path / "scene.tif", pixels, compress="deflate", blockysize=8)
    damage_tile(path, row=3, column=0)
    with open_damaged(path) as dataset:
        _, lost = read_damaged(dataset, Window(10, 0, 50, 90), READING)
    assert lost[24:32].all()
    assert lost.sum() == 8 * 50


def test_nodata_beside_damage_stays_nodata(tmp_path: Path, write_raster: WriteRaster, pixels: np.ndarray) -> None:
    pixels[0, 5, 5] = 0
    path = write_raster(tmp_path / "s.tif", pixels, nodata=0, tiled=True, blockxsize=32, blockysize=32, compress="lzw")
    damage_tile(path, row=2, column=3)
    with open_damaged(path) as dataset:
        chip, lost = read_damaged(dataset, WHOLE, READING)
    assert not chip.valid[5, 5]
    assert not lost[5, 5]
    assert lost.sum() == (90 - 64) * (100 - 96)


def test_an_intact_file_is_read_normally(tmp_path: Path, write_raster: WriteRaster, pixels: np.ndarray) -> None:
    with open_damaged(write_raster(tmp_path / "scene.tif", pixels)) as dataset:
        chip, lost = read_damaged(dataset, WHOLE, READING)
    np.testing.assert_array_equal(chip.image, pixels)
    assert not lost.any()


MakeSparse = Callable[..., Path]

TILE = {"tiled": True, "blockxsize": 32, "blockysize": 16}


@pytest.fixture
def make_sparse(tmp_path: Path) -> MakeSparse:
    """A raster of 64 rows and 96 columns in which only the pixel at row 20, column 40 was written."""

    def make(bands: int = 2, **profile: object) -> Path:
        path = tmp_path / "sparse.tif"
        shape = {"driver": "GTiff", "height": 64, "width": 96, "count": bands, "dtype": "uint8", "SPARSE_OK": True}
        with rasterio.open(path, "w", **(shape | TILE | {"nodata": 0} | profile)) as dataset:
            dataset.write(np.full((bands, 1, 1), 7, np.uint8), window=Window(40, 20, 1, 1))
        return path

    return make


def empty(path: Path, window: Window, nodata: float | None = None, bands: tuple[int, ...] = (1,)) -> bool:
    """Result of `is_unwritten`; if it is True, checks that the window has no valid pixel."""
    reading = Reading(bands, [0.0] * len(bands), nodata)
    with open_raster(path) as dataset:
        said = is_unwritten(dataset, window, reading)
        assert not (said and read_chip(dataset, window, reading).valid.any())
    return said


@pytest.mark.parametrize("interleave", ["pixel", "band"])
@pytest.mark.parametrize(
    ("window", "wanted"),
    [
        (Window(0, 0, 32, 64), True),
        (Window(0, 0, 33, 64), False),  # the first column of the written tile
        (Window(64, 0, 32, 64), True),
        (Window(63, 31, 33, 33), False),  # the last pixel of the written tile
        (Window(63, 32, 33, 32), True),
        (Window(32, 16, 1, 1), False),
        (Window(95, 63, 1, 1), True),
        (Window(0, 0, 96, 64), False),
    ],
)
def test_a_window_is_empty_where_no_tile_of_it_was_written(
    make_sparse: MakeSparse, interleave: str, window: Window, wanted: bool
) -> None:
    assert empty(make_sparse(interleave=interleave), window, bands=(2, 1)) == wanted


@pytest.mark.parametrize(
    ("declared", "given", "wanted"),
    [(0, None, True), (5, None, True), (None, 0.0, True), (None, None, False), (None, 3.0, False)],
)
def test_unwritten_pixels_are_data_if_0_is_data(
    make_sparse: MakeSparse, declared: float | None, given: float | None, wanted: bool
) -> None:
    assert empty(make_sparse(nodata=declared), Window(0, 0, 32, 16), given) == wanted


def test_nan_as_nodata_value_is_no_data(make_sparse: MakeSparse) -> None:
    assert empty(make_sparse(nodata=float("nan"), dtype="float32"), Window(0, 0, 32, 16))


def test_windows_of_other_formats_never_count_as_unwritten(make_sparse: MakeSparse, tmp_path: Path) -> None:
    rasterio.shutil.copy(make_sparse(), tmp_path / "mosaic.vrt", driver="VRT")
    assert not empty(tmp_path / "mosaic.vrt", Window(0, 0, 32, 16))


def test_a_striped_raster_is_unwritten_strip_by_strip(make_sparse: MakeSparse) -> None:
    path = make_sparse(tiled=False, blockysize=8, blockxsize=96)
    assert empty(path, Window(0, 0, 96, 16))
    assert not empty(path, Window(0, 0, 96, 17))
