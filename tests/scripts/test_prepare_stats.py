import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import rasterio

from support.commands import assert_mistake, run_command

Main = Callable[[Sequence[str]], int]
MakeDataset = Callable[..., Path]


@pytest.fixture
def root(make_dataset: MakeDataset, tmp_path: Path) -> Path:
    return make_dataset(tmp_path / "data")


def test_stats_prints_a_line_per_band(main: Main, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stats", f"--input={root}", "--bands=[3,1]"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{root}: ")
    assert lines[0].endswith(" valid pixels of 4 scenes, fold 0 held out")
    assert [line.replace("|", " ").split()[0] for line in [lines[1], *lines[3:]]] == ["band", "3", "1"]
    _, mean, std, low, high = (float(word) for word in lines[3].replace("|", " ").split())
    assert low < mean - std < mean + std < high


def test_stats_as_json_has_all_values(main: Main, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stats", f"--input={root}", "--json", "--fold=null"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["dataset"], found["scenes"]) == (str(root), 5)
    assert found["sampling"] == {"bands": [1, 2, 3], "nodata": None, "fold": None}
    assert len(found["bands"]["mean"]) == len(found["percentiles"]["high"]) == 3


def test_the_demo_dataset_can_be_replaced_after_its_statistics(main: Main, tmp_path: Path) -> None:
    demo = tmp_path / "demo"
    words = ["demo", "--output", str(demo)]
    assert [main(words), main(["stats", f"--input={demo}"]), main(words)] == [0, 0, 0]
    assert not (demo / ".cache").exists()


def test_bands_may_be_named_and_masks_do_not_matter(main: Main, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for image in (root / "images").iterdir():
        with rasterio.open(image, "r+") as dataset:
            dataset.descriptions = ("blue", "red", "nir")
        with rasterio.open(root / "masks" / image.name, "r+") as mask:
            mask.write(np.full((1, mask.height, mask.width), 77, np.uint8))
            mask.nodata = 0
    found = []
    for bands in ("[NIR,blue]", "[3,1]"):
        assert main(["stats", f"--input={root}", "--json", f"--bands={bands}"]) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[0] == found[1]
    assert found[0]["sampling"]["bands"] == [3, 1]
    ran = run_command("prepare stats", f"--input={root}", "--bands=[swir]")
    assert_mistake(ran, "has no band named 'swir'; its bands are blue, red, nir")


@pytest.mark.parametrize(
    ("words", "problem"),
    [(["--fold=7"], "fold 7 of 5"), (["--bands=[9]"], "band 9 is wanted"), (["--folds=0"], "is 0")],
)
def test_a_mistake_is_reported_in_one_line_with_status_2(root: Path, words: list[str], problem: str) -> None:
    assert_mistake(run_command("prepare stats", f"--input={root}", *words), problem)


@pytest.mark.parametrize(("nodata", "noted"), [("-9999", True), ("0", False)])
def test_a_nodata_value_that_no_pixel_has_gets_a_note(root: Path, nodata: str, noted: bool) -> None:
    note = f"note: {root}: no pixel has the value of --nodata=-9999; check the value\n" if noted else ""
    for _ in ("computed", "from the cache"):
        assert run_command("prepare stats", f"--input={root}", f"--nodata={nodata}").err == note
