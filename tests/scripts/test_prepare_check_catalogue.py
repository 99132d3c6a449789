"""`prepare.py check` of a Parquet manifest and of masks with other label values."""

import json
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
    """A dataset of five scenes; the manifest lists four of them. In the masks, 7 is other and 4 is cropland."""
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


def test_a_dataset_valid_for_training_has_status_0(
    main: Main, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--labels.cropland=[4]", "--labels.other=[7]", f"--sheet={tmp_path / 'sheet.png'}", "--folds=2"]
    assert main(["check", f"--input={root}", *words]) == 0, capsys.readouterr()
    assert (tmp_path / "sheet.png").is_file()


def test_labels_are_0_1_and_255_by_default(main: Main, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", f"--input={root}", "--folds=2"]) == 2
    assert "holds the values 4, 7, wanted 0 (other), 1 (cropland) or 255" in capsys.readouterr().err


def test_a_damaged_manifest_is_an_error(main: Main, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "manifest.parquet").write_text("no Parquet")
    assert main(["check", f"--input={root}"]) == 2
    assert "manifest.parquet: not a readable Parquet file" in capsys.readouterr().err


def test_every_invalid_row_is_found(main: Main, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "manifest.csv").write_text(
        "image,mask,split,weight\n"
        "images/scene_0.tif,masks/scene_0.tif,val,1\n"
        "images/scene_1.tif,masks/scene_1.tif,dev,1\n"
        "images/scene_2.tif,masks/scene_2.tif,train,0\n"
        "images/scene_3.tif,masks/none.tif,train,\n"
    )
    assert main(["check", f"--input={root}", "--folds=2", "--labels.cropland=[4]", "--labels.other=[7]"]) == 2
    out = capsys.readouterr().out
    assert "line 3 is" in out
    assert "line 4 has the weight 0; wanted a number above 0" in out
    assert "[missing-mask]" in out
    assert "line 5 of" in out


def test_bands_may_be_named_and_images_without_them_are_found(
    main: Main, make_dataset: MakeDataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = make_dataset(tmp_path / "plain")
    words = ["check", f"--input={root}"]
    assert main([*words, "--bands=[nir]"]) == 2
    assert "has no band named 'nir'; none of its 3 bands has a name" in capsys.readouterr().err
    orders = [("Red", "NIR", "Blue")] * 3 + [("Red", "Blue", "NIR"), ("Red", "Blue", "Green")]
    for number, names in enumerate(orders):
        with rasterio.open(root / "images" / f"scene_{number}.tif", "r+") as image:
            image.descriptions = names
    assert main([*words, "--bands=[nir,red]", "--json"]) == 2
    report = json.loads(capsys.readouterr().out)
    assert report["options"]["bands"] == [2, 1]
    assert [(Path(f["file"]).name, f["kind"]) for f in report["findings"]] == [
        ("scene_3.tif", "band-names"),
        ("scene_4.tif", "band-names"),
    ]
    assert main([*words, "--bands=[red,1]"]) == 0


def test_large_scenes_are_valid_for_chips(
    main: Main,
    make_dataset: MakeDataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("seg.data.dataset.checks.MAX_VALUES", 800)
    words = ["check", f"--input={make_dataset(tmp_path / 'plain')}"]
    assert main(words) == 2
    assert "train on chips (--data.chips.size=512), or cut the scene" in capsys.readouterr().err
    assert main([*words, "--chips"]) == 0
