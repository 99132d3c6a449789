from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window

from seg.raster.pictures.composite import display_bands, display_limits, read_composite, stretch

WriteRaster = Callable[..., Path]


@pytest.mark.parametrize(
    ("descriptions", "bands"),
    [
        (("blue", "green", "red", "nir"), (3, 2, 1)),
        (("B02 Blue", "B03 Green", "B05 red edge", "B04 Red (665 nm)"), (4, 2, 1)),
        (("a", "b", "c", "d"), (1, 2, 3)),
        ((), (1, 2, 3)),
    ],
)
def test_bands_are_chosen_by_description_or_the_first_three_bands_are_shown(
    tmp_path: Path, write_raster: WriteRaster, descriptions: tuple[str, ...], bands: tuple[int, ...]
) -> None:
    path = write_raster(tmp_path / "scene.tif", np.zeros((4, 5, 5), np.uint16), descriptions=descriptions)
    with rasterio.open(path) as dataset:
        assert display_bands(dataset) == bands


@pytest.mark.parametrize("count", [1, 2])
def test_scene_of_fewer_bands_is_grey(tmp_path: Path, write_raster: WriteRaster, count: int) -> None:
    path = write_raster(tmp_path / "scene.tif", np.arange(count * 30).reshape(count, 5, 6).astype(np.float32))
    with rasterio.open(path) as dataset:
        colours = read_composite(dataset, (5, 6)).colours
    assert (colours[..., 0] == colours[..., 1]).all()
    assert (colours[..., 1] == colours[..., 2]).all()


def test_stretch_runs_from_the_2nd_to_the_98th_percentile_of_valid_values() -> None:
    values = np.append(np.arange(101.0), 1e9)
    valid = values < 1e9
    stretched = stretch(values, valid, display_limits(values, valid))
    assert stretched[[0, 2, 50, 98, 100, 101]] == pytest.approx([0, 0, 0.5, 1, 1, 0])


@pytest.mark.parametrize("valid", [True, False])
def test_constant_or_empty_band_stretches_to_black(valid: bool) -> None:
    values, valids = np.full((3, 3), 7.0), np.full((3, 3), valid)
    assert (stretch(values, valids, display_limits(values, valids)) == 0).all()


def test_invalid_pixels_are_transparent(tmp_path: Path, write_raster: WriteRaster) -> None:
    pixels = np.random.default_rng(0).random((3, 6, 6), np.float32)
    pixels[0, 0, 0], pixels[1, 2, 3], pixels[2, 5, 5] = np.nan, -9999, np.inf
    path = write_raster(tmp_path / "scene.tif", pixels, nodata=-9999)
    with rasterio.open(path) as dataset:
        colours = read_composite(dataset, (6, 6)).colours
    assert np.argwhere(colours[..., 3] == 0).tolist() == [[0, 0], [2, 3], [5, 5]]
    assert np.isfinite(colours).all()
    assert (colours >= 0).all()
    assert (colours <= 1).all()


def test_part_of_a_scene_gets_the_colours_of_the_whole_with_its_limits(
    tmp_path: Path, write_raster: WriteRaster
) -> None:
    pixels = np.random.default_rng(0).random((3, 12, 12), np.float32)
    path = write_raster(tmp_path / "scene.tif", pixels)
    with rasterio.open(path) as dataset:
        whole = read_composite(dataset, (12, 12))
        part = read_composite(dataset, (4, 5), Window(2, 3, 5, 4), whole.limits)
    assert part.limits == whole.limits
    assert (part.colours == whole.colours[3:7, 2:7]).all()
