from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from seg.data.dataset.bands import band_indexes
from seg.data.dataset.catalogue import Scene
from seg.errors import DatasetError

Images = Callable[..., list[Scene]]


@pytest.fixture
def images(write_raster: Callable[..., Path], tmp_path: Path) -> Images:
    """A function that gives one scene for each sequence of band names."""

    def make(*names: Sequence[str]) -> list[Scene]:
        scenes = []
        for number, descriptions in enumerate(names):
            pixels = np.zeros((len(descriptions), 2, 2), dtype=np.uint8)
            path = write_raster(tmp_path / f"{number}.tif", pixels, descriptions=descriptions)
            scenes.append(Scene(path, path, 0))
        return scenes

    return make


def test_names_are_found_in_upper_or_lower_case_in_the_order_wanted(images: Images) -> None:
    scenes = images(["Blue", "Green", "Red", "NIR"], ["blue", "green", "red", "nir"])
    assert band_indexes(scenes, ["nir", "RED", "blue"]) == [4, 3, 1]


def test_names_and_indexes_may_be_mixed(images: Images) -> None:
    assert band_indexes(images(["red", "", "nir"]), ["nir", 2]) == [3, 2]


def test_indexes_need_no_image() -> None:
    absent = Path("absent.tif")
    assert band_indexes([Scene(absent, absent, 0)], [3, 9]) == [3, 9]


def test_an_image_may_have_further_bands_after_those_named(images: Images) -> None:
    assert band_indexes(images(["red", "nir"], ["red", "nir", "swir"]), ["nir"]) == [2]


@pytest.mark.parametrize(
    ("names", "wanted", "problem"),
    [
        (
            [["red", "nir"]],
            "green",
            r"0\.tif: has no band named 'green' but the bands red, nir; set data\.bands",
        ),
        ([["red", "nir"]], "", r"has no band named '' but"),
        ([["", ""]], "red", r"0\.tif: has no band named 'red' but 2 bands without names; set .* indexes from 1"),
        ([["red", "Red"]], "red", r"0\.tif: has 2 bands named 'red' but the bands red, Red"),
        ([["red", "nir"], ["red", "swir"]], "nir", r"1\.tif: has no band named 'nir' but the bands red, swir"),
        ([["red", "nir"], ["nir", "red"]], "nir", r"1\.tif: 'nir' is band 1, but band 2 in .*0\.tif; wanted one order"),
        ([[f"b{n}" for n in range(30)]], "c", r"the bands b0, .*b19, \.\.\.; set"),
    ],
)
def test_a_band_that_is_not_clearly_there_is_refused(
    images: Images, names: list[list[str]], wanted: str, problem: str
) -> None:
    with pytest.raises(DatasetError, match=problem):
        band_indexes(images(*names), [wanted])
