"""Tests of the comparison with rounded nodata values, and of the detection of undeclared constants for "no data"."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from seg.errors import UndeclaredNodataError
from seg.raster.chips import Chip, Reading, read_band, read_chip, whole
from seg.raster.grid import open_raster
from seg.raster.voids import is_missing

LEAST = float(np.finfo(np.float32).min)


def chip_of(path: Path, nodata: float | None = None) -> Chip:
    """The whole raster with all bands, read as a chip."""
    with open_raster(path) as dataset:
        return read_chip(dataset, whole(dataset), Reading(dataset.indexes, [0.0] * dataset.count, nodata))


def with_void(void: float, dtype: str) -> npt.NDArray[np.generic]:
    """(3, 8, 8) values around 1000, with a void in the upper half."""
    pixels = np.random.default_rng(0).integers(900, 1100, (3, 8, 8)).astype(dtype)
    pixels[:, :4] = void
    return pixels


@pytest.mark.parametrize(
    ("void", "dtype"),
    [
        (1e20, "float32"),
        (-1e15, "float32"),
        (-9999, "float32"),
        (-9999, "int16"),
        (-32768, "int16"),
        (-99999, "int32"),
        (-2147483648, "int32"),
        (65535, "uint16"),
        (4294967295, "uint32"),
        (-1e20, "float64"),
    ],
)
def test_an_undeclared_void_is_an_error_that_names_the_option(
    tmp_path: Path, write_raster: Callable[..., Path], void: float, dtype: str
) -> None:
    path = write_raster(tmp_path / "x.tif", with_void(void, dtype))
    with pytest.raises(UndeclaredNodataError, match=r"x\.tif: holds .*--nodata=") as error:
        chip_of(path)
    advised = float(str(error.value).partition("--nodata=")[2].split()[0])
    assert not chip_of(path, advised).valid[:4].any()
    assert chip_of(path, advised).valid[4:].all()


@pytest.mark.parametrize("void", [LEAST, -3.4e38, 9.96921e36, -1e30])
def test_values_too_large_for_a_measurement_are_no_data(
    tmp_path: Path, write_raster: Callable[..., Path], void: float
) -> None:
    path = write_raster(tmp_path / "x.tif", with_void(void, "float32"))
    chip = chip_of(path)
    assert not chip.valid[:4].any()
    assert chip.valid[4:].all()
    assert chip.void_found
    with open_raster(path) as dataset:
        assert not read_band(dataset, 1)[1][:4].any()


def test_a_void_in_one_band_is_an_error(tmp_path: Path, write_raster: Callable[..., Path]) -> None:
    pixels = with_void(1000, "int16")
    pixels[1, 0, 0] = -9999
    with pytest.raises(UndeclaredNodataError, match="-9999"):
        chip_of(write_raster(tmp_path / "x.tif", pixels))


def test_a_rounded_nodata_option_matches_the_least_float32() -> None:
    assert is_missing(np.array([LEAST], dtype=np.float32), -3.403e38).all()


@pytest.mark.parametrize("printed", [LEAST, -3.4e38, -3.4028e38])
def test_declared_and_given_nodata_match_within_their_printed_digits(
    tmp_path: Path, write_raster: Callable[..., Path], printed: float
) -> None:
    pixels = with_void(LEAST, "float32")
    declared = write_raster(tmp_path / "declared.tif", pixels, nodata=printed)
    assert not chip_of(declared).valid[:4].any()
    assert chip_of(declared).valid[4:].all()
    with open_raster(declared) as dataset:
        assert not read_band(dataset, 1)[1][:4].any()
    given = chip_of(write_raster(tmp_path / "given.tif", pixels), printed)
    assert not given.valid[:4].any()
    assert given.nodata_found


@pytest.mark.parametrize("nodata", [0.0, 1.0, -9999.0, 0.1])
def test_small_nodata_values_match_after_rounding_to_the_band(nodata: float) -> None:
    values = np.array([nodata, nodata + 0.01, nodata - 0.4], dtype=np.float32)
    assert is_missing(values, nodata).tolist() == [True, False, False]


@pytest.mark.parametrize("nodata", [1.7e308, -1.7976931348623157e308])
def test_a_nodata_value_beyond_float32_matches_nothing_in_float32(nodata: float) -> None:
    assert not is_missing(np.array([0, np.finfo(np.float32).max], dtype=np.float32), nodata).any()


def test_a_nodata_value_that_no_pixel_has_is_not_found(tmp_path: Path, write_raster: Callable[..., Path]) -> None:
    assert not chip_of(write_raster(tmp_path / "x.tif", np.ones((3, 8, 8), np.float32)), -9999).nodata_found


@pytest.mark.parametrize(
    "pixels",
    [
        np.linspace(-10000, 10000, 20001, dtype=np.float32).reshape(1, 1, -1).astype(np.int16),
        np.linspace(0, 65535, 65536).reshape(1, 256, 256).astype(np.uint16),
        np.where(np.arange(400) == 7, 65535, 9000).reshape(1, 20, 20).astype(np.uint16),
        np.linspace(-40, 5, 64, dtype=np.float32).reshape(1, 8, 8),
        np.full((1, 8, 8), 255, np.uint8),
    ],
    ids=["index of -1 to 1 in int16", "full range", "one saturated pixel", "decibels", "white"],
)
def test_measurements_near_a_typical_void_are_data(
    tmp_path: Path, write_raster: Callable[..., Path], pixels: npt.NDArray[np.generic]
) -> None:
    assert chip_of(write_raster(tmp_path / "x.tif", pixels)).valid.all()
