from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from rasterio import Affine
from rasterio.enums import ColorInterp

from seg.errors import RasterError, WriteError
from seg.imagery.composites.write import write_composite
from seg.imagery.settings import CompositeSettings
from seg.raster.chips import Reading, read_chip, whole
from seg.raster.grid import open_raster, read_grid
from seg.raster.writing.block_store import BlockStore
from support.disk_limits import no_file_longer_than

WriteRaster = Callable[..., Path]
Composite = Callable[..., npt.NDArray[np.generic]]
Dates = Callable[..., list[Path]]


def stored(path: Path) -> npt.NDArray[np.generic]:
    with open_raster(path) as dataset:
        return dataset.read()


@pytest.mark.usefixtures("small_blocks")
def test_median_of_blocks_equals_the_median_of_whole_scenes(composite: Composite, dates: Dates, tmp_path: Path) -> None:
    paths = dates()
    values = np.ma.masked_equal(np.stack([stored(path) for path in paths]), 0)
    found = composite(paths)
    np.testing.assert_array_equal(found[:2], np.rint(np.ma.median(values, axis=0).filled(0)))
    np.testing.assert_array_equal(found[2], values.count(axis=0)[0])
    assert found[2, 0, 0] == 0
    grid = read_grid(tmp_path / "summer.tif")
    assert (grid.nodata, grid.dtype, grid.band_names) == (0, "uint16", ("B02", "B08", "valid_dates"))
    assert {path.name for path in tmp_path.iterdir()} == {"dates", "summer.tif"}


def test_a_pixel_is_left_out_if_one_of_its_bands_or_a_mask_or_alpha_hides_it(
    composite: Composite, write_raster: WriteRaster, tmp_path: Path
) -> None:
    pixels = np.full((2, 1, 5), 10, np.uint8)
    hidden = np.array([[1, 0, 1, 1, 1]], bool)
    alpha = np.stack([*(pixels + 10), np.array([[255, 255, 0, 255, 255]], np.uint8)])
    third = pixels + 20
    third[1, 0, 3] = 0
    paths = [
        write_raster(tmp_path / "mask.tif", pixels, mask=hidden),
        write_raster(
            tmp_path / "alpha.tif", alpha, meanings=(ColorInterp.gray, ColorInterp.undefined, ColorInterp.alpha)
        ),
        write_raster(tmp_path / "value.tif", third),
    ]
    found = composite(paths, nodata=0)
    assert found[0].tolist() == [[20, 25, 20, 15, 20]]  # 25 and 15 are means of two dates
    assert found[2].tolist() == [[3, 2, 2, 2, 3]]


def test_a_composite_without_a_nodata_value_stores_validity_as_a_mask(
    composite: Composite, write_raster: WriteRaster, tmp_path: Path
) -> None:
    hidden = np.array([[1, 0]], bool)
    paths = [write_raster(tmp_path / f"{i}.tif", np.zeros((1, 1, 2), np.uint8), mask=hidden) for i in range(2)]
    composite(paths)
    with open_raster(tmp_path / "summer.tif") as dataset:
        assert dataset.nodata is None
        chip = read_chip(dataset, whole(dataset), Reading([1], [7]))
    assert chip.valid.tolist() == [[True, False]]
    assert chip.image.tolist() == [[[0, 7]]]


def test_a_valid_median_that_equals_the_nodata_value_is_changed_by_1(
    composite: Composite, write_raster: WriteRaster, tmp_path: Path
) -> None:
    paths = [
        write_raster(tmp_path / "low.tif", np.full((1, 1, 1), -3, np.int16), nodata=0),
        write_raster(tmp_path / "high.tif", np.full((1, 1, 1), 3, np.int16), nodata=0),
    ]
    assert composite(paths).ravel().tolist() == [1, 2]


def test_tiles_of_one_grid_are_joined_without_resampling(
    composite: Composite, write_raster: WriteRaster, tmp_path: Path
) -> None:
    whole_scene = np.arange(1, 121, dtype=np.uint16).reshape(10, 12)
    corner = Affine(10, 0, 500_000, 0, -10, 5_000_000)
    parts = {"south": (4, 0, 6, 9), "east": (0, 7, 10, 5), "north": (0, 0, 6, 9)}
    paths = []
    for name, (top, left, height, width) in parts.items():
        place = corner @ Affine.translation(left, top)
        pixels = whole_scene[top : top + height, left : left + width]
        paths.append(write_raster(tmp_path / f"{name}.tif", pixels, transform=place, nodata=0))
    found = composite(paths)
    np.testing.assert_array_equal(found[0], whole_scene)
    assert read_grid(tmp_path / "summer.tif").transform == corner
    assert found[1].max() == 3
    # With another grid, the composite covers only the part on that grid.
    grid = write_raster(tmp_path / "grid.tif", np.zeros((2, 4), np.uint8), transform=corner @ Affine.translation(10, 8))
    cut = composite(paths, grid=grid)
    assert cut[0].tolist() == [[107, 108, 0, 0], [119, 120, 0, 0]]


def test_an_interrupted_composite_has_the_same_bytes_with_any_size_of_blocks(
    composite: Composite, dates: Dates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths, output = dates(4, (300, 340)), tmp_path / "summer.tif"
    composite(paths, method="best")
    wanted = output.read_bytes()
    output.unlink()

    def interrupt(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("seg.imagery.composites.planning._block_shape", lambda *_: (128, 128))
    with pytest.raises(KeyboardInterrupt, match=r"finished blocks? kept in .*summer.tif.partial: repeat the command"):
        write_composite(paths, output, CompositeSettings(method="best"), interrupt)
    assert not output.exists()
    with pytest.raises(RasterError, match=r'another method \("best", now "first"\)'):
        write_composite(paths, output, CompositeSettings(method="first"))
    names: list[str] = []
    write = BlockStore.write

    def note(store: BlockStore, name: str, pixels: npt.NDArray[np.uint8]) -> None:
        names.append(name)
        write(store, name, pixels)

    monkeypatch.setattr(BlockStore, "write", note)
    monkeypatch.setattr("seg.imagery.composites.planning._block_shape", lambda *_: (64, 64))
    composite(paths, method="best")  # The run continues with the blocks of 128 x 128 pixels.
    assert 4 <= len(names) <= 6
    assert output.read_bytes() == wanted


@pytest.mark.parametrize("size", [9, 40])
def test_a_changed_input_is_refused(size: int, dates: Dates, tmp_path: Path, write_raster: WriteRaster) -> None:
    paths = dates(2, (40, 40))

    def change(done: int, total: int) -> None:
        write_raster(paths[0], np.ones((2, size, size), np.uint16))

    with pytest.raises(RasterError, match=r"d0.tif: was changed while it was read"):
        write_composite(paths, tmp_path / "summer.tif", CompositeSettings(), change)


@pytest.mark.parametrize("size", [5_000, 16_000])
def test_a_full_disk_names_the_file_and_keeps_finished_blocks(size: int, dates: Dates, tmp_path: Path) -> None:
    paths, output = dates(2), tmp_path / "out" / "summer.tif"
    output.parent.mkdir()
    with no_file_longer_than(size), pytest.raises(WriteError, match=r"out/summer.tif.*: cannot be written"):
        write_composite(paths, output, CompositeSettings())
    assert [path.name for path in output.parent.iterdir()] == ["summer.tif.partial"]
    write_composite(paths, output, CompositeSettings())
    assert [path.name for path in output.parent.iterdir()] == ["summer.tif"]
