from pathlib import Path

import numpy as np
import pytest
import rasterio

from support.commands import Ran, assert_mistake, run_command


@pytest.fixture
def loveda(tmp_path: Path) -> Path:
    """A small LoveDA: one image each for training, validation and testing."""
    root = tmp_path / "LoveDA"
    for part in ("Train", "Val", "Test"):
        for kind, bands in (("images_png", 3), ("masks_png", 1)):
            if (part, kind) == ("Test", "masks_png"):
                continue
            folder = root / part / "Rural" / kind
            folder.mkdir(parents=True)
            profile = {"driver": "PNG", "width": 4, "height": 2, "count": bands, "dtype": "uint8"}
            with rasterio.open(folder / "1.png", "w", **profile) as dataset:
                dataset.write(np.full((bands, 2, 4), 7, dtype=np.uint8))
    return root


def imported(source: str, folder: Path, output: Path, *more: str) -> Ran:
    return run_command("prepare import", "--source", source, "--input", folder, "--output", output, *more)


def test_import_prints_path_folds_and_training_command(loveda: Path, tmp_path: Path) -> None:
    captured = imported("loveda", loveda, tmp_path / "out")
    assert captured.status == 0
    first, _, _, *folds, last = captured.out.splitlines()
    assert first.startswith(f"{tmp_path / 'out'}: 2 scenes in 2 folds")
    assert [line.replace("|", " ").split() for line in folds] == [["0", "1", "8", "1.000"], ["1", "1", "8", "1.000"]]
    assert "--data.folds=2 --data.fold=0" in last
    assert captured.err.splitlines() == ["note: Test was left out, because its masks are not published (images: 1)"]


def test_the_option_copy_needs_no_value(loveda: Path, tmp_path: Path) -> None:
    assert imported("loveda", loveda, tmp_path / "out", "--copy").status == 0
    names = sorted(path.name for path in (tmp_path / "out" / "images").iterdir())
    assert names == ["train_rural_1.png", "val_rural_1.png"]


def test_wrong_layout_is_refused_in_one_line_with_status_2(loveda: Path, tmp_path: Path) -> None:
    assert_mistake(imported("gid", loveda, tmp_path / "out"), "does not have the layout of GID")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("name", "reason"), [("nowhere", "no such folder"), ("file", "is a file")])
@pytest.mark.parametrize("source", ["loveda", "deepglobe", "gid", "ftw"])
def test_invalid_input_folder_is_refused_in_one_line_with_status_2(
    source: str, name: str, reason: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    ran = imported(source, tmp_path / name, tmp_path / "out")
    assert_mistake(ran, f"{tmp_path / name}: {reason}; wanted the unpacked folder")


@pytest.mark.parametrize(
    ("option", "owner"), [("--window=b", "ftw"), ("--boundary=other", "ftw"), ("--gid-images=rgb", "gid")]
)
def test_option_of_another_dataset_is_refused_in_one_line_with_status_2(
    option: str, owner: str, loveda: Path, tmp_path: Path
) -> None:
    ran = imported("loveda", loveda, tmp_path / "out", option)
    assert_mistake(ran, f"{option.replace('=', ' is ')}, but only --source={owner} uses it")


def test_unknown_source_is_refused_in_one_line_with_status_2(loveda: Path, tmp_path: Path) -> None:
    assert_mistake(imported("sen12", loveda, tmp_path / "out"), "loveda")


def test_output_without_a_parent_is_refused_in_one_line_with_status_2(loveda: Path, tmp_path: Path) -> None:
    assert_mistake(imported("loveda", loveda, tmp_path / "nowhere" / "out"), f"{tmp_path / 'nowhere'} does not exist")
