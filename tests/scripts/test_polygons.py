import subprocess
import sys
from pathlib import Path

import geopandas
import numpy as np
import pytest

from support.commands import assert_mistake, run_command
from support.parcel_maps import write_map
from support.project import SCRIPTS


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A map of two parcels, of 2 ha and of 0.04 ha, in the current folder."""
    monkeypatch.chdir(tmp_path)
    pixels = np.zeros((30, 30), np.uint8)
    pixels[2:12, 3:23] = 1
    pixels[20:22, 20:22] = 1
    return write_map(Path("map.tif"), pixels)


def test_parcels_are_written_and_counted(source: Path) -> None:
    status, out, err = run_command("polygons", "--input", source, "--output", "parcels.gpkg", "--min-area", "1亩")
    assert (status, err) == (0, "")
    assert out == "parcels.gpkg: 1 parcel, 2.00 ha\n"
    parcels = geopandas.read_file("parcels.gpkg")
    assert (list(parcels["id"]), round(parcels["area"][0], 2), round(parcels["perimeter"][0])) == (["r2c3"], 2.0, 600)


def test_a_second_run_replaces_the_file(source: Path) -> None:
    for size in ("0.1ha", "0"):
        assert run_command("polygons", "--input", source, "--output", "parcels.geojson", "--min-area", size)[0] == 0
    assert len(geopandas.read_file("parcels.geojson")) == 2


def test_all_options_are_accepted(source: Path) -> None:
    options = ("--min-hole=0.5mu", "--simplify=12", "--probability=percent.tif", "--uncertain=[0.2,0.8]")
    options += ("--interior=map.tif", "--growth=3", "--block-size=16", "--threads=1")
    write_map(Path("percent.tif"), np.full((30, 30), 70))
    status, out, _ = run_command("polygons", "--input", source, "--output", "parcels.parquet", *options)
    assert (status, out[:28]) == (0, "parcels.parquet: 2 parcels, ")
    parcels = geopandas.read_parquet("parcels.parquet")
    assert list(parcels.columns) == ["id", "geometry", "area", "perimeter", "mean_probability", "uncertain_share"]
    assert parcels[["mean_probability", "uncertain_share"]].to_numpy().tolist() == [[0.7, 1.0]] * 2


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("--input", "none.tif"), "none.tif: no such file"),
        (("--output", "parcels.kml"), "parcels.kml: wanted a file name that ends in"),
        (("--output", "nowhere/parcels.gpkg"), "its folder nowhere does not exist"),
        (("--min-area", "5"), "--min-area is '5'; wanted a number and a unit"),
        (("--interior", "none.tif"), "none.tif: no such file"),
        (("--min-aera", "5ha"), "the nearest known key is 'min-area'"),
        (("--uncertain", "[0.8,0.2]"), "--uncertain is [0.8, 0.2]; wanted two probabilities in order"),
    ],
)
def test_a_mistake_is_reported_in_one_line_with_status_2(source: Path, words: tuple[str, ...], wanted: str) -> None:
    given = {"--input": source, "--output": "parcels.gpkg"} | dict([words])
    assert_mistake(run_command("polygons", *(word for option in given.items() for word in option)), wanted)
    assert [path.name for path in Path().iterdir()] == ["map.tif"]


def test_help_starts_without_heavy_libraries() -> None:
    heavy = "{'torch', 'geopandas', 'scipy', 'cv2', 'pyarrow'}"
    script = str(SCRIPTS / "polygons.py")
    code = f"import runpy, sys; runpy.run_path({script!r}); print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
