from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from seg.data.settings import ImportSettings
from seg.data.sources.importing import import_public
from seg.errors import DatasetError
from seg.labels import CROPLAND, IGNORE, OTHER

VALUES = [[0, 1, 2, 3], [4, 5, 6, 7]]
LABELS = [[IGNORE, OTHER, OTHER, OTHER], [OTHER, OTHER, OTHER, CROPLAND]]


@pytest.fixture
def loveda(write_plain: Callable[..., Path], tmp_path: Path) -> Path:
    """LoveDA as unpacked: two training images, one validation image, one test image."""
    root = tmp_path / "LoveDA"
    for folder, name in (("Train/Rural", "0"), ("Train/Urban", "1366"), ("Val/Rural", "2522")):
        write_plain(root / folder / "images_png" / f"{name}.png", np.full((3, 2, 4), 90))
        write_plain(root / folder / "masks_png" / f"{name}.png", VALUES)
    write_plain(root / "Test" / "Urban" / "images_png" / "4191.png", np.full((3, 2, 4), 90))
    return root


def test_agriculture_is_cropland_and_no_data_has_no_label(
    loveda: Path, tmp_path: Path, read_back: Callable[[Path], dict[str, tuple[int, list[list[int]]]]]
) -> None:
    import_public("loveda", loveda, tmp_path / "out", ImportSettings())
    assert {tuple(map(tuple, labels)) for _, labels in read_back(tmp_path / "out").values()} == {
        tuple(map(tuple, LABELS))
    }


def test_official_validation_is_fold_0_and_training_fold_1(
    loveda: Path, tmp_path: Path, read_back: Callable[[Path], dict[str, tuple[int, list[list[int]]]]]
) -> None:
    imported = import_public("loveda", loveda, tmp_path / "out", ImportSettings())
    folds = {name: fold for name, (fold, _) in read_back(tmp_path / "out").items()}
    assert folds == {"0.png": 1, "1366.png": 1, "2522.png": 0}
    assert imported.official


def test_test_images_are_left_out_with_a_note(loveda: Path, tmp_path: Path) -> None:
    imported = import_public("loveda", loveda, tmp_path / "out", ImportSettings())
    assert imported.notes == ["Test was left out, because its masks are not published (images: 1)"]


def test_image_without_a_mask_is_named_in_the_error(loveda: Path, tmp_path: Path) -> None:
    (loveda / "Train" / "Urban" / "masks_png" / "1366.png").unlink()
    with pytest.raises(DatasetError, match=r"images_png/1366\.png: has no mask; wanted .*masks_png/1366\.png"):
        import_public("loveda", loveda, tmp_path / "out", ImportSettings())
    assert not (tmp_path / "out").exists()


def test_another_layout_is_an_error_with_expected_and_found_files(tmp_path: Path) -> None:
    (tmp_path / "in" / "pictures").mkdir(parents=True)
    with pytest.raises(DatasetError, match=r"wanted .*Train/Rural/images_png.*, found pictures; "):
        import_public("loveda", tmp_path / "in", tmp_path / "out", ImportSettings())
