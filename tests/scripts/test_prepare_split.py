from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from seg.data.catalogue import read_catalogue

Main = Callable[[Sequence[str]], int]
MakeDataset = Callable[..., Path]


def test_split_prints_what_each_fold_holds(
    main: Main, make_dataset: MakeDataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = make_dataset(tmp_path / "data")
    assert main(["split", f"--input={root}", "--guard-m=0", "--stratify"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{root / 'manifest.csv'}: 5 scenes in 5 folds"
    assert lines[1].split("  ") == ["fold", "scenes", "labelled pixels", "cropland share"]
    assert [line.split()[:2] for line in lines[2:]] == [[str(fold), "1"] for fold in range(5)]


def test_blocks_go_to_the_output_folder(main: Main, make_dataset: MakeDataset, tmp_path: Path) -> None:
    root = make_dataset(tmp_path / "data", sizes=[(64, 64)])
    options = ["--by=blocks", "--block-size-m=160", "--guard-m=20", "--folds=4"]
    assert main(["split", f"--input={root}", f"--output={tmp_path / 'out'}", *options]) == 0
    assert sorted(path.name for path in root.iterdir()) == ["images", "masks"]
    assert {scene.fold for scene in read_catalogue(tmp_path / "out", 4)} == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--folds=1"], "--folds is 1; wanted 2 or more"),
        (["--by=tiles"], "tiles"),
        ([], "fill 5 folds"),
        (["--by=blocks"], "has 1 blocks of 2000 m"),
    ],
)
def test_a_mistake_is_one_line_and_status_2_and_writes_nothing(
    main: Main,
    make_dataset: MakeDataset,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    problem: str,
) -> None:
    root = make_dataset(tmp_path / "data")
    assert main(["split", f"--input={root}", *words]) == 2
    captured = capsys.readouterr()
    [line] = captured.err.splitlines()
    assert problem in line
    assert captured.out == ""
    assert sorted(path.name for path in root.iterdir()) == ["images", "masks"]
