"""Every command with rasters reads GDAL's own names, and refuses names that are not UTF-8."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely

from support.commands import assert_mistake, run_command

WriteRaster = Callable[..., Path]


@pytest.fixture
def archive(write_raster: WriteRaster, tmp_path: Path) -> Path:
    """An archive with a map and a shapefile of the map's only parcel."""
    classes = np.zeros((40, 50), np.uint8)
    classes[10:20, 10:30] = 1
    write_raster(tmp_path / "map.tif", classes, nodata=255)
    parcel = shapely.box(500_100, 4_999_800, 500_300, 4_999_900)
    geopandas.GeoDataFrame(geometry=[parcel], crs="EPSG:32633").to_file(tmp_path / "parcels.shp")
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as packed:
        for file in (tmp_path / "map.tif", *tmp_path.glob("parcels.*")):
            packed.write(file, file.name)
    return tmp_path / "all.zip"


@pytest.mark.parametrize(
    ("command", "words", "output"),
    [
        ("polygons", ["--input={map}"], "out.gpkg"),
        ("prepare burn", ["--image={map}", "--labels={parcels}"], "out.tif"),
        ("evaluate", ["--prediction={map}", "--reference={parcels}", "--bootstrap=0"], "out"),
        ("evaluate sample", ["--prediction={map}", "--zones={map}", "--points=20", "--minimum=5"], "out.gpkg"),
        ("evaluate change", ["--before={map}", "--after={map}"], "out"),
    ],
)
def test_commands_read_rasters_and_vectors_in_archives(
    archive: Path, tmp_path: Path, command: str, words: list[str], output: str
) -> None:
    names = {"map": f"/vsizip/{archive}/map.tif", "parcels": f"/vsizip/{archive}/parcels.shp"}
    ran = run_command(command, *(word.format(**names) for word in words), f"--output={tmp_path / output}")
    assert (ran.status, ran.err) == (0, "")
    assert (tmp_path / output).exists()


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("predict", ["--model=m", "--input={name}", "--output=o.tif"]),
        ("predict", ["--model=m", "--input=s.tif", "--output=o.tif", "--area={name}"]),
        ("prepare burn", ["--image=i.tif", "--labels={name}", "--output=o.tif"]),
        ("polygons", ["--input=m.tif", "--output={name}"]),
        ("evaluate area", ["--points={name}", "--output=o"]),
        ("export", ["--checkpoint={name}", "--output=o"]),
    ],
)
def test_every_command_refuses_a_name_that_is_not_utf8_in_one_line(command: str, words: list[str]) -> None:
    name = "\udcb5\udcd8.tif"
    assert_mistake(run_command(command, *(word.format(name=name) for word in words)), "its name is not UTF-8; rename")


def test_the_check_of_a_dataset_reports_a_name_that_is_not_utf8(
    make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    root = make_dataset(tmp_path / "data")
    for folder in ("images", "masks"):
        (root / folder / "scene_1.tif").rename(root / folder / "\udcb5\udcd8.tif")
    report, sheet = tmp_path / "report.json", tmp_path / "sheet.png"
    ran = run_command("prepare check", f"--input={root}", f"--output={report}", f"--sheet={sheet}")
    assert ran.status == 2
    assert "its name is not UTF-8" in ran.out
    assert "\udcb5\udcd8.tif" in json.loads(report.read_text(encoding="utf-8"))["findings"][0]["file"]
    assert sheet.is_file()
