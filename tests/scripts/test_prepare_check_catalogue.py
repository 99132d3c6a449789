"""`prepare.py check` of a Parquet manifest and of masks with labels of their own."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
import rasterio

Main = Callable[[Sequence[str]], int]
MakeDataset = Callable[..., Path]


@pytest.fixture
def root(make_dataset: MakeDataset, tmp_path: Path) -> Path:
    """A dataset of five scenes whose manifest lists four, with 7 for other and 4 for cropland."""
    root = make_dataset(tmp_path / "data")
    for path in (root / "masks").iterdir():
        with rasterio.open(path, "r+") as mask:
            classes = mask.read(1)
            classes[classes == 0] = 7
            classes[classes == 1] = 4
            mask.write(classes, 1)
    (root / "masks" / "scene_4.tif").unlink()
    names = [f"scene_{number}.tif" for number in range(4)]
    table = {
        "image": [f"images/{name}" for name in names],
        "mask": [f"masks/{name}" for name in names],
        "split": ["val", "train", "train", "train"],
    }
    pyarrow.parquet.write_table(pyarrow.table(table), root / "manifest.parquet")
    return root


def test_what_training_takes_is_found_right(
    main: Main, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--labels.cropland=[4]", "--labels.other=[7]", f"--sheet={tmp_path / 'sheet.png'}", "--folds=2"]
    assert main(["check", f"--input={root}", *words]) == 0, capsys.readouterr()
    assert (tmp_path / "sheet.png").is_file()


def test_labels_are_0_1_and_255_unless_they_are_said(
    main: Main, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", f"--input={root}", "--folds=2"]) == 2
    assert "holds the values 4, 7, wanted 0 (other), 1 (cropland) or 255" in capsys.readouterr().err


def test_a_damaged_manifest_is_an_error(main: Main, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "manifest.parquet").write_text("no Parquet")
    assert main(["check", f"--input={root}"]) == 2
    assert "manifest.parquet: no readable Parquet file" in capsys.readouterr().err
