from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from seg.raster.grid import open_raster
from support.commands import assert_mistake, run_command

Main = Callable[[Sequence[str]], int]


@pytest.fixture
def folder(write_raster: Callable[..., Path], tmp_path: Path) -> Path:
    """A folder with T1_B02.tif, T1_B03.tif, and T1_TCI.tif of three bands."""
    for value, (name, bands) in enumerate((("B02", 1), ("B03", 1), ("TCI", 3)), start=1):
        write_raster(tmp_path / "bands" / f"T1_{name}.tif", np.full((bands, 4, 5), value, dtype=np.uint16))
    return tmp_path / "bands"


def test_stack_writes_and_lists_the_chosen_bands(
    main: Main, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "scene.vrt"
    assert main(["stack", f"--input={folder}", f"--output={output}", "--bands=[B03,B02]"]) == 0
    first, _, _, *rows = capsys.readouterr().out.splitlines()
    assert first == f"{output}: 2 bands"
    assert [row.replace("|", " ").split() for row in rows] == [
        ["B03", "1", "T1_B03.tif"],
        ["B02", "2", "T1_B02.tif"],
    ]
    with open_raster(output) as scene:
        assert scene.descriptions == ("B03", "B02")
        assert scene.read()[:, 0, 0].tolist() == [2, 1]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--bands=[B02,B09]"], "has no band B09; choose each name once with --bands among B02, B03, TCI"),
        (["--bands=[B02]", "--output=scene.png"], "scene.png: wanted a file name that ends in .vrt"),
        (["--input=nowhere"], "nowhere: no such folder"),
    ],
)
def test_a_mistake_is_reported_in_one_line_with_status_2(
    folder: Path, tmp_path: Path, words: list[str], problem: str
) -> None:
    ran = run_command("prepare stack", f"--input={folder}", f"--output={tmp_path / 'scene.vrt'}", *words)
    assert_mistake(ran, problem)
    assert not (tmp_path / "scene.vrt").exists()
