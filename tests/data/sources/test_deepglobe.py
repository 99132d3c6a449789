from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from seg.data.settings import ImportSettings
from seg.data.sources.importing import import_public
from seg.errors import DatasetError
from seg.labels import CROPLAND, IGNORE, OTHER

# Urban, agriculture, rangeland, forest, water, barren, unknown, and a blended colour of edges.
COLOURS = [
    [0, 255, 255],
    [250, 240, 9],
    [255, 0, 255],
    [3, 251, 0],
    [0, 0, 255],
    [255, 255, 255],
    [4, 0, 90],
    [255, 90, 0],
]
LABELS = [OTHER, CROPLAND, OTHER, OTHER, OTHER, OTHER, IGNORE, IGNORE]

WritePlain = Callable[..., Path]
ReadBack = Callable[[Path], dict[str, tuple[int, list[list[int]]]]]


def write_pair(write_plain: WritePlain, image: Path, mask: Path) -> None:
    write_plain(image, np.full((3, 1, 8), 90))
    write_plain(mask, np.transpose(COLOURS)[:, None])


@pytest.fixture
def deepglobe(write_plain: WritePlain, tmp_path: Path) -> Path:
    """Six pairs of image and mask for training, and a validation image that has no mask, in one folder."""
    root = tmp_path / "deepglobe"
    for name in ("119", "606", "855", "2334", "2774", "3484"):
        write_pair(write_plain, root / "train" / f"{name}_sat.jpg", root / "train" / f"{name}_mask.png")
    write_plain(root / "valid" / "7_sat.jpg", np.full((3, 1, 8), 90))
    return root


def test_agriculture_is_cropland_and_unknown_has_no_label(deepglobe: Path, tmp_path: Path, read_back: ReadBack) -> None:
    import_public("deepglobe", deepglobe, tmp_path / "out", ImportSettings())
    assert read_back(tmp_path / "out")["119_sat.jpg"][1] == [LABELS]


def test_places_are_assigned_to_five_folds_in_turn(deepglobe: Path, tmp_path: Path, read_back: ReadBack) -> None:
    imported = import_public("deepglobe", deepglobe, tmp_path / "out", ImportSettings())
    assert sorted(fold for fold, _ in read_back(tmp_path / "out").values()) == [0, 0, 1, 2, 3, 4]
    assert not imported.official


def test_unlabelled_part_is_left_out_with_a_note(deepglobe: Path, tmp_path: Path) -> None:
    imported = import_public("deepglobe", deepglobe, tmp_path / "out", ImportSettings())
    assert [note.rpartition(" (")[2] for note in imported.notes] == ["images: 1)"]


def test_masks_may_be_in_a_folder_beside_the_images(
    write_plain: WritePlain, tmp_path: Path, read_back: ReadBack
) -> None:
    part = tmp_path / "in" / "data" / "training_data"
    write_pair(write_plain, part / "images" / "119_sat.jpg", part / "masks" / "119_mask.png")
    import_public("deepglobe", tmp_path / "in", tmp_path / "out", ImportSettings())
    assert read_back(tmp_path / "out") == {"119_sat.jpg": (0, [LABELS])}


def test_training_image_without_a_mask_is_named_in_the_error(deepglobe: Path, tmp_path: Path) -> None:
    (deepglobe / "train" / "606_mask.png").unlink()
    with pytest.raises(DatasetError, match=r"606_sat\.jpg: has no mask; wanted .*606_mask\.png"):
        import_public("deepglobe", deepglobe, tmp_path / "out", ImportSettings())


def test_an_empty_folder_is_an_error_with_the_expected_files(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(DatasetError, match=r"wanted \*_sat\.jpg .* found nothing"):
        import_public("deepglobe", tmp_path / "in", tmp_path / "out", ImportSettings())
