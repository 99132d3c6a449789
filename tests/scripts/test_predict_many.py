from collections.abc import Callable
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely

from seg.labels import IGNORE
from support.commands import assert_mistake, run_command
from support.range_server import range_server

WriteRaster = Callable[..., Path]


@pytest.fixture
def scenes(tmp_path: Path, write_raster: WriteRaster) -> Path:
    """A folder of two scenes."""
    for name, height in (("a", 40), ("b", 50)):
        pixels = np.random.default_rng(0).integers(50, 150, (3, height, 60)).astype(np.uint16)
        write_raster(tmp_path / "scenes" / f"{name}.tif", pixels)
    return tmp_path / "scenes"


@pytest.fixture
def words(model: Path, tmp_path: Path) -> list[object]:
    """Options that all command lines of these tests have."""
    return ["--model", model, "--output", tmp_path / "maps", "--device=cpu", "--threads=1"]


def mapped(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*") if not path.stem.endswith("_probability"))


@pytest.mark.parametrize("kind", ["folder", "pattern", "list", "names"])
def test_many_scenes_are_mapped_into_a_folder(words: list[object], scenes: Path, tmp_path: Path, kind: str) -> None:
    (tmp_path / "list.txt").write_text("scenes/a.tif\nscenes/b.tif\n")
    given = {
        "folder": [scenes],
        "pattern": [scenes / "[ab].tif"],
        "list": [tmp_path / "list.txt"],
        "names": [scenes / "a.tif", scenes / "b.tif"],  # as a shell expands a pattern
    }[kind]
    status, out, err = run_command("predict", *words, "--input", *given)
    assert (status, err) == (0, "")
    assert "2 scenes: 2 mapped" in out
    assert mapped(tmp_path / "maps") == ["a.tif", "b.tif"]


def test_addresses_and_files_may_be_listed_together(words: list[object], scenes: Path, tmp_path: Path) -> None:
    with range_server(scenes) as server:
        (tmp_path / "list.txt").write_text(f"scenes/a.tif\n{server.url}/b.tif\n")
        status, _, err = run_command("predict", *words, "--input", tmp_path / "list.txt")
    assert (status, err) == (0, "")
    assert mapped(tmp_path / "maps") == ["a.tif", "b.tif"]


def test_one_address_is_mapped_to_a_file(model: Path, scenes: Path, tmp_path: Path) -> None:
    with range_server(scenes) as server:
        address = f"{server.url}/a.tif?token=x"
        status, _, err = run_command("predict", "--model", model, "--input", address, "--output", tmp_path / "map.tif")
    assert (status, err) == (0, "")
    with rasterio.open(tmp_path / "map.tif") as dataset:
        assert dataset.shape == (40, 60)


def test_scenes_that_fail_are_listed_at_the_end_with_status_1(
    words: list[object], scenes: Path, tmp_path: Path
) -> None:
    (scenes / "b.tif").write_text("no raster")
    (tmp_path / "list.txt").write_text("scenes/b.tif\nscenes/none.tif\nscenes/a.tif\n")
    status, out, err = run_command("predict", *words, "--input", tmp_path / "list.txt")
    assert status == 1
    assert "3 scenes: 1 mapped, 2 failed" in out
    *_, title, first, second, last = err.splitlines()
    assert title == "could not be mapped:"
    assert "b.tif: not a readable raster" in first
    assert "none.tif: no such file" in second
    assert last.startswith("error: 2 of 3 scenes could not be mapped")
    assert mapped(tmp_path / "maps") == ["a.tif"]


def test_repeating_the_command_keeps_finished_maps(words: list[object], scenes: Path, tmp_path: Path) -> None:
    assert run_command("predict", *words, "--input", scenes)[0] == 0
    content = (tmp_path / "maps" / "a.tif").stat().st_mtime_ns
    status, out, _ = run_command("predict", *words, "--input", scenes)
    assert status == 0
    assert "2 scenes: 2 kept" in out
    assert (tmp_path / "maps" / "a.tif").stat().st_mtime_ns == content
    _, out, _ = run_command("predict", *words, "--input", scenes, "--existing=overwrite")
    assert "2 scenes: 2 mapped" in out


def test_an_area_restricts_each_scene(words: list[object], scenes: Path, tmp_path: Path) -> None:
    shape = shapely.box(500_100, 5_000_000 - 450, 500_300, 5_000_000 - 420)
    geopandas.GeoDataFrame(geometry=[shape], crs="EPSG:32633").to_crs("EPSG:4326").to_file(tmp_path / "aoi.gpkg")
    status, out, err = run_command("predict", *words, "--input", scenes, "--area", tmp_path / "aoi.gpkg")
    assert status == 0
    assert "2 scenes: 1 mapped, 1 outside the area" in out
    assert "skipped: " in err
    with rasterio.open(tmp_path / "maps" / "b.tif") as dataset:
        inside = dataset.read(1) != IGNORE
    assert inside[42:45, 10:30].all()
    assert inside.sum() == 60


def test_a_box_may_begin_with_a_negative_number(model: Path, scenes: Path, tmp_path: Path) -> None:
    words = ["--model", model, "--input", scenes / "a.tif", "--output", tmp_path / "map.tif"]
    ran = run_command("predict", *words, "--area=-60,-30,-59,-29", "--area-crs=EPSG:4326")
    assert_mistake(ran, "a.tif: has no pixel in the area -60,-30,-59,-29")
    status, _, err = run_command("predict", *words, "--area=15,45.1,15.005,45.16", "--area-crs=EPSG:4326")
    assert (status, err) == (0, "")


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"output": "map.tif"}, ["map.tif is a file", "name a folder"]),
        ({"input": "none/*.tif"}, ["none/*.tif", "check the pattern"]),
        ({"area": "none.gpkg"}, ["none.gpkg", "no such file"]),
        ({"area": "1,2,3"}, ["area is 1,2,3", "minx,miny,maxx,maxy"]),
        ({"existing": "ask"}, ["--existing is 'ask'", "skip", "overwrite"]),
        ({"on_unreadable": "ignore"}, ["--on-unreadable is 'ignore'", "nodata"]),
    ],
)
def test_a_mistake_is_reported_in_one_line_with_exit_status_2(
    model: Path, scenes: Path, tmp_path: Path, changed: dict[str, str], named: list[str]
) -> None:
    several = changed.keys() == {"output"}
    options = {"model": model, "input": scenes if several else scenes / "a.tif", "output": tmp_path / "map.tif"}
    words = [f"--{key}={value}" for key, value in (options | changed).items()]
    assert_mistake(run_command("predict", *words), *named)
    assert not (tmp_path / "map.tif").exists()
