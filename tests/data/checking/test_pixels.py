from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from seg.data.checking import pixels as module
from seg.data.checking.pixels import PixelSummary, Reading, summarise_pixels
from seg.data.dataset.checks import LabelCounts
from seg.labels import CROPLAND, IGNORE, OTHER
from seg.raster.grid import open_raster

WriteRaster = Callable[..., Path]


@pytest.fixture
def scene(tmp_path: Path, write_raster: WriteRaster) -> tuple[Path, Path]:
    """Image of 40x30 pixels in two bands with three empty rows at the top, and a mask of stripes."""
    pixels = np.random.default_rng(0).integers(1, 9000, (2, 40, 30)).astype(np.uint16)
    pixels[1, :3] = 0
    mask = np.tile(np.repeat([OTHER, CROPLAND, IGNORE], 10), (40, 1)).astype(np.uint8)
    return write_raster(tmp_path / "image.tif", pixels, nodata=0), write_raster(tmp_path / "mask.tif", mask)


def summary(image: Path, mask: Path | None = None, nodata: float | None = None) -> PixelSummary:
    with open_raster(image) as dataset:
        if mask is None:
            return summarise_pixels(dataset, None, Reading((1, 2), nodata))
        with open_raster(mask) as labels:
            return summarise_pixels(dataset, labels, Reading((1, 2), nodata))


def test_labels_are_counted_where_the_image_has_data(scene: tuple[Path, Path]) -> None:
    found = summary(*scene)
    assert (found.total, found.valid) == (1200, 1110)
    assert found.labels == LabelCounts(370, 370, 370)
    assert found.inside is not None
    assert (found.inside.row_off, found.inside.height, found.inside.col_off, found.inside.width) == (3, 37, 0, 30)


def test_values_of_a_small_scene_are_exact(scene: tuple[Path, Path]) -> None:
    with open_raster(scene[0]) as dataset:
        values = dataset.read()[:, 3:].reshape(2, -1)
    for band, expected in zip(summary(*scene).bands, values, strict=True):
        assert (band.minimum, band.maximum) == (expected.min(), expected.max())
        assert (band.low, band.median, band.high) == pytest.approx(np.percentile(expected, (2, 50, 98)))


def test_small_windows_give_the_same_counts_and_extremes(
    scene: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = summary(*scene)
    monkeypatch.setattr(module, "READ_SIZE", 7)
    monkeypatch.setattr(module, "SAMPLED_VALUES", 500)
    cut = summary(*scene)
    assert (cut.valid, cut.labels, cut.inside) == (whole.valid, whole.labels, whole.inside)
    for band, exact in zip(cut.bands, whole.bands, strict=True):
        assert (band.minimum, band.maximum) == (exact.minimum, exact.maximum)
        assert band.median == pytest.approx(exact.median, rel=0.2)


def test_digest_depends_only_on_valid_values(
    scene: tuple[Path, Path], tmp_path: Path, write_raster: WriteRaster
) -> None:
    with open_raster(scene[0]) as dataset:
        pixels = dataset.read().astype(np.float32)
    pixels[:, :3] = np.nan
    same = write_raster(tmp_path / "same.tif", pixels, compress="deflate", crs="EPSG:32650")
    pixels[0, 20, 20] += 1
    other = write_raster(tmp_path / "other.tif", pixels)
    assert summary(same).digest == summary(scene[0]).digest
    assert summary(other).digest != summary(same).digest


def test_scene_without_data_has_no_values(tmp_path: Path, write_raster: WriteRaster) -> None:
    found = summary(write_raster(tmp_path / "empty.tif", np.full((2, 5, 6), 9, np.uint8)), nodata=9)
    assert (found.valid, found.bands, found.inside, found.zeros) == (0, (), None, 0)


def test_zeros_in_all_bands_are_counted_with_and_without_a_label(tmp_path: Path, write_raster: WriteRaster) -> None:
    pixels = np.ones((2, 4, 4), np.uint8)
    pixels[:, :2, :2] = 0
    pixels[0, 3, 3] = 0
    mask = np.full((4, 4), IGNORE, np.uint8)
    mask[0] = CROPLAND
    found = summary(write_raster(tmp_path / "image.tif", pixels), write_raster(tmp_path / "mask.tif", mask))
    assert (found.zeros, found.labelled_zeros) == (4, 2)


def test_missing_dates_do_not_count(tmp_path: Path, write_raster: WriteRaster) -> None:
    pixels = np.random.default_rng(0).integers(1000, 9000, (2, 40, 30)).astype(np.uint16)
    pixels[0, :10] = pixels[1, 20:] = 0
    names = "B04@2024-05-11", "B04@2024-08-03"
    found = summary(write_raster(tmp_path / "image.tif", pixels, nodata=0, descriptions=names))
    assert (found.valid, found.zeros) == (1200, 0)
    for band, values in zip(found.bands, (pixels[0, 10:], pixels[1, :20]), strict=True):
        assert (band.minimum, band.maximum) == (values.min(), values.max())
        assert (band.low, band.median, band.high) == pytest.approx(np.percentile(values, (2, 50, 98)))
    pixels[1] = 0
    empty = summary(write_raster(tmp_path / "image.tif", pixels, nodata=0, descriptions=names)).bands[1]
    assert (empty.minimum, empty.median, empty.maximum) == (0, 0, 0)
