from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import rasterio

from seg.data.dataset.catalogue import read_catalogue
from seg.data.dataset.manifest import read_manifest
from support.commands import assert_mistake, run_command

Main = Callable[[Sequence[str]], int]
MakeDataset = Callable[..., Path]


def test_split_prints_the_content_of_each_fold(
    main: Main, make_dataset: MakeDataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = make_dataset(tmp_path / "data")
    assert main(["split", f"--input={root}", "--guard-m=0", "--stratify"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{root / 'manifest.csv'}: 5 scenes in 5 folds"
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]
    assert table[0] == ["fold", "scenes", "labelled pixels", "cropland share"]
    assert [row[:2] for row in table[2:]] == [[str(fold), "1"] for fold in range(5)]


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
        (["--by=blocks"], "has 1 block of 2000 m"),
    ],
)
def test_a_mistake_is_reported_in_one_line_with_status_2_and_writes_nothing(
    make_dataset: MakeDataset, tmp_path: Path, words: list[str], problem: str
) -> None:
    root = make_dataset(tmp_path / "data")
    assert_mistake(run_command("prepare split", f"--input={root}", *words), problem)
    assert sorted(path.name for path in root.iterdir()) == ["images", "masks"]


@pytest.fixture
def coded(make_dataset: MakeDataset, tmp_path: Path) -> Path:
    """Eight scenes with a manifest. In the masks, 2 is other and 5 is cropland; half of the masks are all cropland."""
    root = make_dataset(tmp_path / "coded", sizes=[(16, 16 + number) for number in range(8)])
    lines = ["image,mask,split,weight,sensor,labels"]
    for number in range(8):
        with rasterio.open(root / "masks" / f"scene_{number}.tif", "r+") as mask:
            mask.write(np.full((16, 16 + number), 5 if number < 4 else 2, np.uint8), 1)
        weight = number + 0.5 if number else ""
        lines.append(f"images/scene_{number}.tif,masks/scene_{number}.tif,train,{weight},S2{'AB'[number % 2]},l.gpkg")
    (root / "manifest.csv").write_text("\n".join(lines) + "\n")
    return root


CODED = ["--labels.cropland=[5]", "--labels.other=[2]"]


def test_masks_with_other_values_are_stratified(
    main: Main, coded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["split", f"--input={coded}", f"--output={tmp_path / 'out'}", "--folds=4", "--guard-m=0", "--stratify"]
    assert main(words) == 2
    assert "holds the values 5, wanted 0 (other), 1 (cropland)" in capsys.readouterr().err
    assert main([*words, *CODED]) == 0
    shares = [float(line.split("|")[4]) for line in capsys.readouterr().out.splitlines()[3:]]
    assert all(0.4 < share < 0.6 for share in shares)


@pytest.mark.parametrize("words", [[], ["--by=blocks", "--block-size-m=80", "--guard-m=20"]], ids=["scenes", "blocks"])
def test_weights_and_other_columns_are_kept(main: Main, coded: Path, tmp_path: Path, words: list[str]) -> None:
    out = tmp_path / "out"
    assert main(["split", f"--input={coded}", f"--output={out}", "--folds=2", "--guard-m=0", *CODED, *words]) == 0
    header, *lines = (out / "manifest.csv").read_text().splitlines()
    assert header == "image,mask,fold,weight,sensor,labels"
    rows = read_manifest(out / "manifest.csv")
    assert len(rows) == len(lines) >= 8
    for row, line in zip(rows, lines, strict=True):
        number = int(Path(row.image).name.removeprefix("scene_")[0])
        assert row.weight == (number + 0.5 if number else 1)
        assert line.endswith(f",S2{'AB'[number % 2]},../coded/l.gpkg")
    assert {row.fold for row in rows} == {0, 1}


def test_a_dataset_without_a_manifest_gets_no_other_columns(
    main: Main, make_dataset: MakeDataset, tmp_path: Path
) -> None:
    root = make_dataset(tmp_path / "data")
    assert main(["split", f"--input={root}", "--guard-m=0"]) == 0
    assert (root / "manifest.csv").read_text().splitlines()[0] == "image,mask,fold"
