from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from rasterio._err import CPLE_OutOfMemoryError
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioIOError
from rasterio.windows import Window

from seg.errors import DamageError, RasterError
from seg.raster.chips import (
    Chip,
    Reading,
    read_band,
    read_chip,
    unreadable,
    whole,
)
from seg.raster.grid import open_raster

WriteRaster = Callable[..., Path]
RGBA = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)


def chip_of(path: Path, bands: int = 1, nodata: float | None = None) -> Chip:
    with open_raster(path) as dataset:
        return read_chip(dataset, whole(dataset), Reading(range(1, bands + 1), [-1.0] * bands, nodata))


def ones(bands: int, dtype: npt.DTypeLike = np.uint8) -> npt.NDArray[np.generic]:
    return np.ones((bands, 2, 3), dtype=dtype)


def with_hole() -> npt.NDArray[np.bool_]:
    """(2, 3) True except at row 0, column 1, where the tests below have the missing pixel."""
    valid = np.ones((2, 3), dtype=bool)
    valid[0, 1] = False
    return valid


def test_pixels_come_in_stored_units_as_float32(write_raster: WriteRaster, tmp_path: Path) -> None:
    pixels = np.arange(12, dtype=np.uint16).reshape(2, 2, 3) * 1000
    chip = chip_of(write_raster(tmp_path / "a.tif", pixels), bands=2)

    assert chip.image.dtype == np.float32
    np.testing.assert_array_equal(chip.image, pixels)


def test_raster_without_nodata_is_valid_everywhere(write_raster: WriteRaster, tmp_path: Path) -> None:
    assert chip_of(write_raster(tmp_path / "a.tif", ones(1) * 0)).valid.all()


def test_bands_are_read_in_the_given_order(write_raster: WriteRaster, tmp_path: Path) -> None:
    pixels = ones(3) * np.array([1, 2, 3], dtype=np.uint8)[:, None, None]
    with open_raster(write_raster(tmp_path / "a.tif", pixels)) as dataset:
        chip = read_chip(dataset, whole(dataset), Reading([3, 1], [0, 0]))

    assert chip.image[:, 0, 0].tolist() == [3, 1]


def test_only_pixels_of_the_window_are_read(write_raster: WriteRaster, tmp_path: Path) -> None:
    pixels = np.arange(30, dtype=np.uint8).reshape(5, 6)
    with open_raster(write_raster(tmp_path / "a.tif", pixels)) as dataset:
        chip = read_chip(dataset, Window(2, 1, 3, 2), Reading([1], [0]))

    np.testing.assert_array_equal(chip.image[0], pixels[1:3, 2:5])


def test_nodata_value_of_the_file_is_invalid(write_raster: WriteRaster, tmp_path: Path) -> None:
    pixels = ones(1)
    pixels[0, 0, 1] = 7
    np.testing.assert_array_equal(chip_of(write_raster(tmp_path / "a.tif", pixels, nodata=7)).valid, with_hole())


def test_negative_integer_nodata_is_invalid(write_raster: WriteRaster, tmp_path: Path) -> None:
    pixels = ones(1, np.int16)
    pixels[0, 0, 1] = -32768
    path = write_raster(tmp_path / "a.tif", pixels, nodata=-32768)
    np.testing.assert_array_equal(chip_of(path).valid, with_hole())


def test_given_nodata_value_is_invalid(write_raster: WriteRaster, tmp_path: Path) -> None:
    pixels = ones(1)
    pixels[0, 0, 1] = 0
    path = write_raster(tmp_path / "a.tif", pixels)
    np.testing.assert_array_equal(chip_of(path, nodata=0.0).valid, with_hole())


def test_a_given_nodata_value_is_added_to_the_nodata_value_of_the_file(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    pixels = ones(1)
    pixels[0, 0, :2] = (7, 0)
    chip = chip_of(write_raster(tmp_path / "a.tif", pixels, nodata=7), nodata=0.0)
    assert chip.valid.tolist() == [[False, False, True], [True, True, True]]


def test_nodata_value_outside_the_type_matches_nothing(write_raster: WriteRaster, tmp_path: Path) -> None:
    assert chip_of(write_raster(tmp_path / "a.tif", ones(1)), nodata=-9999.0).valid.all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_invalid(write_raster: WriteRaster, tmp_path: Path, value: float) -> None:
    pixels = ones(1, np.float32)
    pixels[0, 0, 1] = value
    np.testing.assert_array_equal(chip_of(write_raster(tmp_path / "a.tif", pixels)).valid, with_hole())


def test_nan_as_nodata_value_is_invalid(write_raster: WriteRaster, tmp_path: Path) -> None:
    pixels = ones(1, np.float32)
    pixels[0, 0, 1] = np.nan
    path = write_raster(tmp_path / "a.tif", pixels, nodata=np.nan)
    np.testing.assert_array_equal(chip_of(path).valid, with_hole())


@pytest.mark.parametrize("nodata", [None, -1.7976931348623157e308])
def test_a_float64_beyond_float32_is_invalid_without_a_warning(
    write_raster: WriteRaster, tmp_path: Path, nodata: float | None
) -> None:
    pixels = ones(1, np.float64)
    pixels[0, 0, 1] = -1.7976931348623157e308
    path = write_raster(tmp_path / "a.tif", pixels, nodata=nodata)
    np.testing.assert_array_equal(chip_of(path).valid, with_hole())


def test_pixel_of_alpha_0_is_invalid(write_raster: WriteRaster, tmp_path: Path) -> None:
    pixels = np.concatenate([ones(3), 255 * with_hole()[None].astype(np.uint8)])
    path = write_raster(tmp_path / "a.tif", pixels, meanings=RGBA)
    np.testing.assert_array_equal(chip_of(path, bands=3).valid, with_hole())


def test_alpha_and_nodata_value_are_combined(write_raster: WriteRaster, tmp_path: Path) -> None:
    pixels = np.concatenate([ones(3), 255 * with_hole()[None].astype(np.uint8)])
    pixels[0, 1, 2] = 7
    path = write_raster(tmp_path / "a.tif", pixels, meanings=RGBA, nodata=7)
    assert chip_of(path, bands=3).valid.tolist() == [[True, False, True], [True, True, False]]


def test_pixel_that_the_msk_file_excludes_is_invalid(write_raster: WriteRaster, tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", ones(2), mask=with_hole())
    assert (tmp_path / "a.tif.msk").exists()
    np.testing.assert_array_equal(chip_of(path, bands=2).valid, with_hole())


def test_nodata_value_and_msk_file_are_combined(write_raster: WriteRaster, tmp_path: Path) -> None:
    pixels = ones(2)
    pixels[0, 1, 2] = 7
    path = write_raster(tmp_path / "a.tif", pixels, mask=with_hole(), nodata=7)
    assert chip_of(path, bands=2).valid.tolist() == [[True, False, True], [True, True, False]]


def test_pixel_missing_in_one_band_is_invalid(write_raster: WriteRaster, tmp_path: Path) -> None:
    pixels = ones(3)
    pixels[1, 0, 1] = 0
    path = write_raster(tmp_path / "a.tif", pixels, nodata=0)
    np.testing.assert_array_equal(chip_of(path, bands=3).valid, with_hole())


def test_a_band_that_is_not_read_invalidates_nothing(write_raster: WriteRaster, tmp_path: Path) -> None:
    pixels = ones(3)
    pixels[2, 0, 1] = 0
    assert chip_of(write_raster(tmp_path / "a.tif", pixels, nodata=0), bands=2).valid.all()


def test_invalid_pixels_hold_the_fill_value_of_their_band(write_raster: WriteRaster, tmp_path: Path) -> None:
    pixels = ones(2)
    pixels[0, 0, 1] = 0
    with open_raster(write_raster(tmp_path / "a.tif", pixels, nodata=0)) as dataset:
        chip = read_chip(dataset, whole(dataset), Reading([1, 2], [0.25, 40.0]))

    assert chip.image[:, 0, 1].tolist() == [0.25, 40.0]
    assert (chip.image[:, with_hole()] == 1).all()


def test_complex_numbers_are_refused(write_raster: WriteRaster, tmp_path: Path) -> None:
    with (
        open_raster(write_raster(tmp_path / "radar.tif", np.ones((2, 2), dtype=np.complex64))) as dataset,
        pytest.raises(RasterError, match=r"radar\.tif: holds complex numbers \(complex64\), wanted real numbers"),
    ):
        read_chip(dataset, whole(dataset), Reading([1], [0]))


@pytest.fixture
def truncated(write_raster: WriteRaster, tmp_path: Path) -> Path:
    """A tiled, deflated GeoTIFF cut in half: it can be opened, but its last tiles are missing."""
    noise = np.random.default_rng(0).integers(0, 255, (2, 128, 128), dtype=np.uint8)
    path = write_raster(tmp_path / "half.tif", noise, tiled=True, blockxsize=32, blockysize=32, compress="deflate")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


def test_truncated_image_is_named_in_the_error_when_its_missing_pixels_are_read(truncated: Path) -> None:
    with (
        open_raster(truncated) as dataset,
        pytest.raises(RasterError, match=r"half\.tif: pixels at row 96, column 0 cannot be read .* truncated"),
    ):
        read_chip(dataset, Window(0, 96, 128, 32), Reading([1, 2], [0, 0]))


def test_truncated_band_is_named_in_the_error_when_its_missing_pixels_are_read(truncated: Path) -> None:
    with (
        open_raster(truncated) as dataset,
        pytest.raises(RasterError, match=r"half\.tif: pixels at row 0, column 0 cannot be read .* truncated"),
    ):
        read_band(dataset, 1)


def test_message_about_unreadable_pixels_is_one_line(truncated: Path) -> None:
    with open_raster(truncated) as dataset, pytest.raises(RasterError) as raised:
        read_band(dataset, 1)
    assert "\n" not in str(raised.value)


def test_lack_of_memory_is_not_reported_as_damage(write_raster: WriteRaster, tmp_path: Path) -> None:
    error = RasterioIOError("Read failed. See previous exception for details.")
    error.__cause__ = CPLE_OutOfMemoryError(3, 2, "Out of memory allocating 3000000000 bytes")
    with open_raster(write_raster(tmp_path / "a.tif", ones(1))) as dataset:
        found = unreadable(dataset, whole(dataset), error)
    assert not isinstance(found, DamageError)
    assert "a.tif: out of memory while reading (Out of memory allocating" in str(found)


def test_an_alpha_band_that_is_read_is_data(write_raster: WriteRaster, tmp_path: Path) -> None:
    pixels = np.full((4, 2, 3), 9, dtype=np.uint8)
    pixels[3, 0, 0] = 0
    path = write_raster(tmp_path / "rgbn.tif", pixels, meanings=RGBA)
    with open_raster(path) as dataset:
        chip = read_chip(dataset, whole(dataset), Reading([1, 2, 3, 4], [0.0] * 4))
    assert chip.valid.all()
    assert chip.image[3, 0, 0] == 0


def test_a_msk_file_counts_if_an_alpha_band_is_data(write_raster: WriteRaster, tmp_path: Path) -> None:
    mask = np.array([[True, False, True]])
    path = write_raster(tmp_path / "rgbn.tif", np.full((4, 1, 3), 9, np.uint8), meanings=RGBA, mask=mask)
    with open_raster(path) as dataset:
        chip = read_chip(dataset, whole(dataset), Reading([1, 2, 3, 4], [0.0] * 4))
    np.testing.assert_array_equal(chip.valid, mask)
