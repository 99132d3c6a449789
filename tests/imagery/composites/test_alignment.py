from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from rasterio import Affine
from rasterio.warp import transform

from seg.raster.grid import Grid, read_grid

WriteRaster = Callable[..., Path]
Composite = Callable[..., npt.NDArray[np.generic]]

ZONES = "EPSG:32632", "EPSG:32633"
CORNER = Affine(10, 0, 499_000, 0, -10, 5_000_000)
"""Transform of a scene in zone 33, near the middle of the zone."""


def centres(grid: Grid) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    rows, columns = np.mgrid[: grid.height, : grid.width] + 0.5
    x, y = grid.transform @ (columns, rows)
    return x, y


def place_in(source: Grid, grid: Grid) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Rows and columns of a scene in zone 32 at the pixel centres of a grid in zone 33."""
    x, y = centres(grid)
    columns, rows = ~source.transform @ tuple(map(np.asarray, transform(ZONES[1], ZONES[0], x.ravel(), y.ravel())))
    return rows.reshape(x.shape), columns.reshape(x.shape)


def plane(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """A value for each place in zone 33: 20 per pixel eastwards and 30 per pixel southwards."""
    return 5000 + (x - 499_000) / 10 * 20 + (5_000_000 - y) / 10 * 30


def write_other_zone(write: WriteRaster, folder: Path, size: int = 60, pixel: float = 10) -> Path:
    """A scene in zone 32 that shows the plane, has a hole, and covers a part of the scene in zone 33."""
    (x,), (y,) = transform(ZONES[1], ZONES[0], [499_100], [4_999_900])
    place = Affine(pixel, 0, np.floor(x / 10) * 10 + 3, 0, -pixel, np.floor(y / 10) * 10 + 4)
    rows, columns = np.mgrid[:size, :size] + 0.5
    there = place @ (columns.ravel(), rows.ravel())
    here = (np.asarray(axis).reshape(size, size) for axis in transform(ZONES[0], ZONES[1], *there))
    pixels = np.rint(plane(*here))
    pixels[20:30, 20:30] = 0
    return write(folder / "zone32.tif", pixels.astype(np.uint16), crs=ZONES[0], transform=place, nodata=0)


@pytest.mark.parametrize("pixel", [10, 2.5])
def test_a_tile_of_another_zone_is_displaced_by_less_than_a_hundredth_of_a_pixel(
    pixel: float, composite: Composite, write_raster: WriteRaster, tmp_path: Path
) -> None:
    near = np.zeros((90, 90), np.uint16)
    near[:5] = 9
    first = write_raster(tmp_path / "zone33.tif", near, crs=ZONES[1], transform=CORNER, nodata=0)
    other = write_other_zone(write_raster, tmp_path, int(600 / pixel), pixel)
    values, count = composite([first, other])
    grid = read_grid(tmp_path / "summer.tif")
    assert (grid.crs.to_epsg(), grid.pixel_size) == (32633, (10, 10))
    rows, columns = place_in(read_grid(other), grid)
    # Pixels near the edge of the scene and of its hole are left out: there, only a part of the kernel is valid.
    size, edge = 600 / pixel, 10 / pixel
    inner = (rows > edge) & (rows < size - edge) & (columns > edge) & (columns < size - edge) & (values != 9)
    low, high = 20 - edge, 30 + edge
    inner &= ~((rows > low) & (rows < high) & (columns > low) & (columns < high))
    assert inner.sum() > 2500
    assert (count[inner] == 1).all()
    # The scene and the composite are both rounded, by up to 0.5 units each; 1 % of a pixel is at most 0.4 units.
    assert np.abs(values - plane(*centres(grid)))[inner].max() <= 1.4


def test_an_invalid_pixel_stays_invalid_in_another_zone(
    composite: Composite, write_raster: WriteRaster, tmp_path: Path
) -> None:
    first = write_raster(tmp_path / "a.tif", np.zeros((90, 90), np.uint16), crs=ZONES[1], transform=CORNER, nodata=0)
    other = write_other_zone(write_raster, tmp_path)
    _, count = composite([first, other])
    rows, columns = place_in(read_grid(other), read_grid(tmp_path / "summer.tif"))
    hole = (columns > 20.1) & (columns < 29.9) & (rows > 20.1) & (rows < 29.9)
    assert hole.sum() > 80
    assert not count[hole].any()
    around = (columns > 15) & (columns < 19.9) & (rows > 15) & (rows < 35)
    assert count[around].all()


def test_blocks_do_not_change_resampled_pixels(
    composite: Composite, write_raster: WriteRaster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(1).integers(1, 4000, (90, 90), np.uint16)
    first = write_raster(tmp_path / "a.tif", random, crs=ZONES[1], transform=CORNER, nodata=0)
    other = write_other_zone(write_raster, tmp_path)
    whole = composite([first, other])
    monkeypatch.setattr("seg.imagery.composites.planning._block_shape", lambda *_: (16, 32))
    np.testing.assert_array_equal(composite([first, other]), whole)


def test_a_scene_shifted_by_half_a_pixel_is_interpolated(
    composite: Composite, write_raster: WriteRaster, tmp_path: Path
) -> None:
    grid = write_raster(tmp_path / "grid.tif", np.zeros((1, 4), np.uint8), transform=CORNER)
    pixels = np.array([[100, 200, 300, 500]] * 3, np.uint16)
    shifted = CORNER @ Affine.translation(-0.5, -1)
    scene = write_raster(tmp_path / "scene.tif", pixels, transform=shifted, nodata=0)
    values, count = composite([scene], grid=grid)
    assert values.tolist() == [[150, 250, 400, 0]]
    assert count.tolist() == [[1, 1, 1, 0]]
