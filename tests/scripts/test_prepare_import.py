from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import rasterio

Main = Callable[[Sequence[str]], int]


@pytest.fixture
def loveda(tmp_path: Path) -> Path:
    """LoveDA in small: one image for training, one for validation, one for testing."""
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


def arguments(source: str, folder: Path, output: Path, *more: str) -> list[str]:
    return ["import", "--source", source, "--input", str(folder), "--output", str(output), *more]


def one_line_error(capsys: pytest.CaptureFixture[str]) -> str:
    """The single line on standard error, with nothing on standard output."""
    captured = capsys.readouterr()
    assert captured.out == ""
    [line] = captured.err.splitlines()
    assert line.startswith("error: ")
    return line


def test_import_prints_where_the_dataset_is_its_folds_and_how_to_train(
    main: Main, loveda: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments("loveda", loveda, tmp_path / "out")) == 0
    captured = capsys.readouterr()
    first, _, _, *folds, last = captured.out.splitlines()
    assert first.startswith(f"{tmp_path / 'out'}: 2 scenes in 2 folds")
    assert [line.replace("|", " ").split() for line in folds] == [["0", "1", "8", "1.000"], ["1", "1", "8", "1.000"]]
    assert "--data.folds=2 --data.fold=0" in last
    assert captured.err.splitlines() == ["note: Test was left out, because its masks are not published (images: 1)"]


def test_copy_needs_no_value(main: Main, loveda: Path, tmp_path: Path) -> None:
    assert main(arguments("loveda", loveda, tmp_path / "out", "--copy")) == 0
    names = sorted(path.name for path in (tmp_path / "out" / "images").iterdir())
    assert names == ["train_rural_1.png", "val_rural_1.png"]


def test_wrong_layout_is_one_line_and_status_2(
    main: Main, loveda: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments("gid", loveda, tmp_path / "out")) == 2
    assert "is not laid out like GID" in one_line_error(capsys)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("name", "reason"), [("nowhere", "no such folder"), ("file", "is a file")])
@pytest.mark.parametrize("source", ["loveda", "deepglobe", "gid", "ftw"])
def test_input_that_is_no_folder_is_one_line_and_status_2(
    source: str, name: str, reason: str, main: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert main(arguments(source, tmp_path / name, tmp_path / "out")) == 2
    assert f"{tmp_path / name}: {reason}; wanted the unpacked folder" in one_line_error(capsys)


@pytest.mark.parametrize(
    ("option", "owner"), [("--window=b", "ftw"), ("--boundary=other", "ftw"), ("--gid-images=rgb", "gid")]
)
def test_option_of_another_dataset_is_one_line_and_status_2(
    option: str, owner: str, main: Main, loveda: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments("loveda", loveda, tmp_path / "out", option)) == 2
    assert f"{option.replace('=', ' is ')}, but only --source={owner} uses it" in one_line_error(capsys)


def test_unknown_source_is_one_line_and_status_2(
    main: Main, loveda: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments("sen12", loveda, tmp_path / "out")) == 2
    assert "loveda" in one_line_error(capsys)


def test_output_without_a_parent_is_one_line_and_status_2(
    main: Main, loveda: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments("loveda", loveda, tmp_path / "nowhere" / "out")) == 2
    assert f"{tmp_path / 'nowhere'} does not exist" in one_line_error(capsys)
