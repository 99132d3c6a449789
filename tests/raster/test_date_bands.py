from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from seg.errors import RasterError
from seg.raster.chips import Chip, Reading, read_chip, whole
from seg.raster.damaged import is_unwritten
from seg.raster.date_bands import dated_name, dates_of
from seg.raster.grid import open_raster

WriteRaster = Callable[..., Path]
NAMES = [dated_name(band, date) for date in ("2024-05-11", "2024-08-03") for band in ("B04", "B08")]
FILL = [-1.0, -2.0, -3.0, -4.0, -5.0]


def test_dates_are_numbered_in_the_order_of_the_bands() -> None:
    assert dates_of(NAMES) == (0, 0, 1, 1)
    assert dates_of(["B04@harvest", "slope", "B04@planting", "B08@harvest"]) == (0, -1, 1, 0)
    assert dates_of(["a@20240511", "a@2024-06", "a@2024-06-01T10:30:31Z", "a@2025"]) == (0, 1, 2, 3)


@pytest.mark.parametrize(
    "names", [[], ["", ""], ["B04", "B08"], NAMES[:2], [*NAMES[:2], "slope"], ["B04@", "B08@"], ["R@490nm", "R@560nm"]]
)
def test_bands_of_fewer_than_two_dates_have_no_dates(names: list[str]) -> None:
    assert dates_of(names) == ()


def test_more_than_sixteen_dates_are_refused() -> None:
    with pytest.raises(RasterError, match=r"bands have 17 dates, wanted at most 16; choose fewer bands"):
        dates_of([f"B04@{year}" for year in range(2001, 2018)])


@pytest.fixture
def scene(write_raster: WriteRaster, tmp_path: Path) -> Path:
    """Five pixels with two bands of each of two dates, and a band without a date; nodata is 0.

    The first pixel holds data in all bands. Then one pixel each: the first date lacks a band; the second date lacks a
    band; both dates lack a band; the band without a date lacks data.
    """
    pixels = np.arange(1, 26, dtype=np.uint16).reshape(5, 1, 5)
    pixels[1, 0, 1] = pixels[2, 0, 2] = pixels[0, 0, 3] = pixels[3, 0, 3] = pixels[4, 0, 4] = 0
    return write_raster(tmp_path / "scene.tif", pixels, nodata=0, descriptions=(*NAMES, "slope"))


def read(scene: Path, bands: list[int], dates: tuple[int, ...] = ()) -> Chip:
    with open_raster(scene) as dataset:
        return read_chip(dataset, whole(dataset), Reading(bands, [FILL[band - 1] for band in bands], dates=dates))


def test_a_pixel_is_valid_if_one_date_holds_data_and_the_other_is_filled(scene: Path) -> None:
    chip = read(scene, [1, 2, 3, 4, 5])
    assert chip.valid.tolist() == [[True, True, True, False, False]]
    assert chip.missing is not None
    assert chip.missing.tolist() == [[0, 1, 2, 0, 0]]
    assert chip.image[:, 0].T.tolist() == [
        [1, 6, 11, 16, 21],
        [-1, -2, 12, 17, 22],
        [3, 8, -3, -4, 23],
        FILL,
        FILL,
    ]


def test_pixels_of_a_band_do_not_depend_on_the_order_of_the_bands(scene: Path) -> None:
    chip, turned = read(scene, [1, 2, 3, 4, 5]), read(scene, [4, 5, 1, 3, 2])
    np.testing.assert_array_equal(turned.image, chip.image[[3, 4, 0, 2, 1]])
    np.testing.assert_array_equal(turned.valid, chip.valid)


def test_bands_of_one_date_must_all_hold_data(scene: Path) -> None:
    chip = read(scene, [1, 2, 5])
    assert chip.valid.tolist() == [[True, False, True, False, False]]
    assert chip.missing is None


def test_given_dates_replace_the_dates_in_the_names(scene: Path) -> None:
    chip = read(scene, [1, 2, 3, 4], dates=(0, 1, 1, 1))
    assert chip.valid.tolist() == [[True, True, True, False, True]]


def test_a_sparse_scene_is_unwritten_only_if_all_its_dates_are(write_raster: WriteRaster, tmp_path: Path) -> None:
    pixels = np.zeros((2, 64, 64), np.uint16)
    pixels[1] = 5
    options = {"nodata": 0, "descriptions": ("B04@a", "B04@b"), "interleave": "band", "SPARSE_OK": True}
    path = write_raster(tmp_path / "sparse.tif", pixels, tiled=True, blockxsize=16, blockysize=16, **options)
    with open_raster(path) as dataset:
        assert not is_unwritten(dataset, whole(dataset), Reading([1, 2], [0, 0]))
        assert is_unwritten(dataset, whole(dataset), Reading([1], [0]))
