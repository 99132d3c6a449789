from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rasterio import Affine
from rasterio.enums import ColorInterp

from seg.errors import RasterError
from seg.raster.chips import Reading, read_chip, whole
from seg.raster.grid import open_raster
from seg.raster.writing.date_stack import write_date_stack

WriteRaster = Callable[..., Path]


@pytest.fixture
def scenes(write_raster: WriteRaster, tmp_path: Path) -> dict[str, Path]:
    """Scenes of four pixels and two bands, one for each of three dates.

    They store validity as a nodata value, as a mask file, and as an alpha band.
    """
    may, june, july = (np.full((2, 1, 4), value, np.uint8) for value in (10, 20, 30))
    may[:, 0, 0] = may[0, 0, 3] = 0
    hidden = np.array([[0, 1, 1, 0]], bool)
    alpha = np.concatenate([july, np.array([[[0, 255, 0, 0]]], np.uint8)])
    meanings = ColorInterp.gray, ColorInterp.undefined, ColorInterp.alpha
    names = "B04", "B08"
    return {
        "2024-05-11": write_raster(tmp_path / "in" / "may.tif", may, nodata=0, descriptions=names),
        "2024-06-01": write_raster(tmp_path / "in" / "june.tif", june, mask=hidden, descriptions=names),
        "2024-07-08": write_raster(tmp_path / "in" / "july.tif", alpha, meanings=meanings, descriptions=names),
    }


def test_a_stack_of_dates_keeps_the_validity_of_each_date(scenes: dict[str, Path], tmp_path: Path) -> None:
    output = tmp_path / "stack.vrt"
    names = write_date_stack(output, scenes)
    assert names[:3] == ["B04@2024-05-11", "B08@2024-05-11", "B04@2024-06-01"]
    with open_raster(output) as dataset:
        assert list(dataset.descriptions) == names
        chip = read_chip(dataset, whole(dataset), Reading(range(1, 7), [0.5] * 6))
    assert chip.valid.tolist() == [[False, True, True, False]]
    assert chip.missing is not None
    assert chip.missing.tolist() == [[0, 0, 4, 0]]
    assert chip.image[:, 0, 1].tolist() == [10, 10, 20, 20, 30, 30]
    assert chip.image[:, 0, 2].tolist() == [10, 10, 20, 20, 0.5, 0.5]


def test_a_stack_of_dates_may_be_moved_together_with_its_scenes(scenes: dict[str, Path], tmp_path: Path) -> None:
    write_date_stack(tmp_path / "stack.vrt", scenes)
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("in", "stack.vrt"):
        (tmp_path / name).rename(moved / name)
    with open_raster(moved / "stack.vrt") as dataset:
        assert dataset.read(5)[0, 1] == 30


@pytest.mark.parametrize(
    ("profile", "problem"),
    [
        ({"descriptions": ("B03", "B08")}, r"other\.tif: has the bands B03, B08, but .*may\.tif has B04, B08; wanted"),
        ({"descriptions": ("B04", "B08"), "transform": Affine(10, 0, 0, 0, -10, 0)}, r"other\.tif: lies up to"),
    ],
)
def test_dates_with_other_bands_or_grids_are_refused(
    profile: dict[str, object], problem: str, scenes: dict[str, Path], tmp_path: Path, write_raster: WriteRaster
) -> None:
    other = write_raster(tmp_path / "other.tif", np.ones((2, 1, 4), np.uint8), **profile)
    with pytest.raises(RasterError, match=problem):
        write_date_stack(tmp_path / "stack.vrt", scenes | {"2024-09-01": other})
    assert not (tmp_path / "stack.vrt").exists()
