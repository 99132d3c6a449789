from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio import Affine

from seg.raster.grid import open_raster
from support.commands import assert_mistake, run_command

WriteRaster = Callable[..., Path]


@pytest.fixture
def scenes(write_raster: WriteRaster, tmp_path: Path) -> Path:
    """A folder with two scenes of two bands, and files beside it that do not fit these scenes."""
    for name, value in (("a", 10), ("b", 20)):
        pixels = np.full((2, 4, 5), value, np.uint16)
        pixels[:, 0, 0] = 0
        write_raster(tmp_path / "scenes" / f"{name}.tif", pixels, nodata=0, descriptions=("B02", "B08"))
    pixels = np.full((2, 4, 5), 30, np.uint16)
    write_raster(tmp_path / "landsat.tif", pixels, nodata=0, descriptions=("red", "nir"))
    write_raster(tmp_path / "float.tif", pixels.astype(np.float32), descriptions=("B02", "B08"))
    write_raster(tmp_path / "narrow.tif", pixels[:1])
    write_raster(tmp_path / "nowhere.tif", pixels, descriptions=("B02", "B08"), crs=None)
    elsewhere = Affine(10, 0, 900_000, 0, -10, 5_400_000)
    write_raster(tmp_path / "elsewhere.tif", pixels, descriptions=("B02", "B08"), transform=elsewhere)
    write_raster(tmp_path / "far.tif", pixels, descriptions=("B02", "B08"), crs="EPSG:3031")
    scaled = write_raster(tmp_path / "scaled.tif", pixels, descriptions=("B02", "B08"))
    with rasterio.open(scaled, "r+") as dataset:
        dataset.scales = (0.0001, 0.0001)
    return tmp_path / "scenes"


def test_composite_writes_and_reports_a_scene(scenes: Path, tmp_path: Path) -> None:
    output = tmp_path / "summer.tif"
    ran = run_command("prepare composite", f"--input={scenes}", f"--output={output}", "--bands=[B08]")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        f"{output}: 5x4 pixels from 2 inputs",
        "95.0% of the pixels hold data, from 2 inputs on average",
    ]
    with open_raster(output) as dataset:
        assert dataset.descriptions == ("B08", "valid_dates")
        assert dataset.read()[:, 1, 1].tolist() == [15, 2]
        assert dataset.tags()["SEG_INPUTS"] == "a, b"


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["landsat.tif"], "landsat.tif: has the bands red, nir, but "),
        (["float.tif"], "float.tif: its data type is float32, but "),
        (["scaled.tif"], "scaled.tif: its scale and offset is 0.0001 and 0, but "),
        (["elsewhere.tif"], "elsewhere.tif: lies so far from the other scenes"),
        (["narrow.tif"], "narrow.tif: has 1 band, but "),
        (["nowhere.tif"], "nowhere.tif: has no CRS, but "),
        (["--bands=[B05]"], "a.tif: has no band B05, or several with this name; its bands are B02, B08"),
        (["--bands=[3]"], "a.tif: has no band 3; wanted 1 to 2"),
        (["--memory=0.1"], "--memory is 0.1; wanted 0.75 GiB or more"),
        (["--method=mean"], "wanted median or best or first"),
        (["--grid=far.tif"], "far.tif: no input has pixels on this grid; choose another --grid"),
        (["--output=summer.vrt"], "summer.vrt: wanted a file name that ends in .tif or .tiff"),
        (["--output=landsat.tif"], "landsat.tif: was not written by cropland-seg, so it is not replaced"),
        (["--output=scenes/a.tif"], "scenes/a.tif: is one of the inputs"),
    ],
)
def test_a_mistake_is_reported_in_one_line_with_status_2(
    scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], problem: str
) -> None:
    monkeypatch.chdir(tmp_path)
    inputs = [word for word in words if not word.startswith("--")]
    options = [word for word in words if word.startswith("--")]
    output = [] if any("--output" in word for word in words) else ["--output=summer.tif"]
    ran = run_command("prepare composite", "--input", "scenes/a.tif", "scenes/b.tif", *inputs, *output, *options)
    assert_mistake(ran, problem)
    assert not (tmp_path / "summer.tif").exists()
    assert not list(tmp_path.glob("*.partial"))
