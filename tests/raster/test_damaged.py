from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rasterio.windows import Window

from seg.errors import DamageError
from seg.raster.chips import Reading, read_chip
from seg.raster.damaged import open_around_damage, read_around_damage
from support.damage import damage_tile

WriteRaster = Callable[..., Path]
READING = Reading([1, 2], [7.0, 8.0])
WHOLE = Window(0, 0, 100, 90)


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(1, 60_000, (2, 90, 100)).astype(np.uint16)


@pytest.fixture(params=["1", "ALL_CPUS"])
def threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let GDAL decode in so many threads."""
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
    with open_around_damage(path) as dataset:
        for window in (WHOLE, Window(50, 20, 40, 30)):
            with pytest.raises(DamageError):
                read_chip(dataset, window, READING)
            for _ in range(2):
                chip, lost = read_around_damage(dataset, window, READING)
            part = window.toslices()
            np.testing.assert_array_equal(lost, wanted[part])
            np.testing.assert_array_equal(chip.valid, ~wanted[part])
            np.testing.assert_array_equal(chip.image[:, chip.valid], pixels[(slice(None), *part)][:, chip.valid])
            assert set(chip.image[0][lost]) == {7.0}
            assert set(chip.image[1][lost]) == {8.0}


def test_of_a_striped_file_only_strips_are_lost(tmp_path: Path, write_raster: WriteRaster, pixels: np.ndarray) -> None:
    path = write_raster(tmp_path / "scene.tif", pixels, compress="deflate", blockysize=8)
    damage_tile(path, row=3, column=0)
    with open_around_damage(path) as dataset:
        _, lost = read_around_damage(dataset, Window(10, 0, 50, 90), READING)
    assert lost[24:32].all()
    assert lost.sum() == 8 * 50


def test_nodata_beside_damage_stays_nodata(tmp_path: Path, write_raster: WriteRaster, pixels: np.ndarray) -> None:
    pixels[0, 5, 5] = 0
    path = write_raster(tmp_path / "s.tif", pixels, nodata=0, tiled=True, blockxsize=32, blockysize=32, compress="lzw")
    damage_tile(path, row=2, column=3)
    with open_around_damage(path) as dataset:
        chip, lost = read_around_damage(dataset, WHOLE, READING)
    assert not chip.valid[5, 5]
    assert not lost[5, 5]
    assert lost.sum() == (90 - 64) * (100 - 96)


def test_a_sound_file_is_read_as_ever(tmp_path: Path, write_raster: WriteRaster, pixels: np.ndarray) -> None:
    with open_around_damage(write_raster(tmp_path / "scene.tif", pixels)) as dataset:
        chip, lost = read_around_damage(dataset, WHOLE, READING)
    np.testing.assert_array_equal(chip.image, pixels)
    assert not lost.any()
