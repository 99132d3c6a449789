from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from seg.data.sources.legend import Legend, Meaning, read_labels
from seg.errors import DatasetError
from seg.labels import CROPLAND, IGNORE, OTHER

VALUES = Legend((Meaning(0, "none", IGNORE), Meaning(3, "wood", OTHER), Meaning(7, "field", CROPLAND)))
COLOURS = Legend((Meaning((0, 0, 0), "none", IGNORE), Meaning((0, 255, 0), "field", CROPLAND)))

WritePlain = Callable[..., Path]


def test_values_become_labels(write_plain: WritePlain, tmp_path: Path) -> None:
    path = write_plain(tmp_path / "mask.png", [[0, 3, 7], [7, 7, 0]])
    assert read_labels(path, VALUES).tolist() == [[IGNORE, OTHER, CROPLAND], [CROPLAND, CROPLAND, IGNORE]]


def test_colours_become_labels(write_plain: WritePlain, tmp_path: Path) -> None:
    path = write_plain(tmp_path / "mask.png", [[[0, 0]], [[0, 255]], [[0, 0]]])
    assert read_labels(path, COLOURS).tolist() == [[IGNORE, CROPLAND]]


def test_a_mask_is_read_in_strips_completely(write_plain: WritePlain, tmp_path: Path) -> None:
    rows = np.where(np.arange(1300) % 3 == 0, 7, 3)[:, None] * np.ones((1, 2))
    labels = read_labels(write_plain(tmp_path / "mask.tif", rows), VALUES)
    assert (labels == np.where(rows == 7, CROPLAND, OTHER)).all()


def test_the_threshold_restores_lossy_colours(write_plain: WritePlain, tmp_path: Path) -> None:
    path = write_plain(tmp_path / "mask.png", [[[127, 3]], [[128, 0]], [[9, 127]]])
    assert read_labels(path, Legend(COLOURS.meanings, threshold=128)).tolist() == [[CROPLAND, IGNORE]]


def test_an_unknown_value_is_an_error_with_file_and_known_values(write_plain: WritePlain, tmp_path: Path) -> None:
    path = write_plain(tmp_path / "mask.png", [[0, 9], [200, 7]])
    with pytest.raises(DatasetError, match=r"mask\.png: has the values 9, 200, .*wanted 0, 3, 7;"):
        read_labels(path, VALUES)


def test_the_error_about_an_unknown_colour_gives_it_as_red_green_blue(write_plain: WritePlain, tmp_path: Path) -> None:
    path = write_plain(tmp_path / "mask.png", [[[1]], [[2]], [[3]]])
    with pytest.raises(DatasetError, match=r"has the colours \(1, 2, 3\), .*wanted \(0, 0, 0\), \(0, 255, 0\);"):
        read_labels(path, COLOURS)


def test_many_unknown_values_give_one_short_line(write_plain: WritePlain, tmp_path: Path) -> None:
    path = write_plain(tmp_path / "mask.png", [list(range(100, 200))])
    with pytest.raises(DatasetError, match=r"106, 107, \.\.\. \(100 in all\)"):
        read_labels(path, VALUES)


@pytest.mark.parametrize(("legend", "bands"), [(VALUES, 3), (COLOURS, 1)])
def test_mask_with_other_bands_is_refused(legend: Legend, bands: int, write_plain: WritePlain, tmp_path: Path) -> None:
    path = write_plain(tmp_path / "mask.png", np.zeros((bands, 2, 2)))
    with pytest.raises(DatasetError, match=f"has {bands} bands? of uint8, but masks of this dataset have"):
        read_labels(path, legend)
