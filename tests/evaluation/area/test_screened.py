"""Samples of maps whose prediction left out screened pixels."""

import json
from collections.abc import Callable
from pathlib import Path

import geopandas
import numpy as np
import pyogrio
import pytest
import rasterio

from seg.evaluation.area.design import design_path, read_design
from seg.evaluation.area.population import screened_pixels
from support.commands import run_command

WriteRaster = Callable[..., Path]


@pytest.fixture
def screened_map(write_raster: WriteRaster, tmp_path: Path) -> Path:
    """A map of 40 x 60 pixels whose left half is screened, except the last row, which has no data."""
    classes = np.zeros((40, 60), np.uint8)
    classes[:, 45:] = 1
    classes[-1] = 255
    shown = np.zeros_like(classes)
    shown[:, :30] = 1
    shown[-1] = 255
    path = write_raster(tmp_path / "map.tif", classes, nodata=255)
    write_raster(tmp_path / "map_screened.tif", shown, nodata=255)
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(SEG_SCREENED_PIXELS=str(39 * 30))
    return path


def sample(prediction: Path) -> Path:
    points = prediction.with_name("points.gpkg")
    words = [f"--prediction={prediction}", f"--output={points}", "--points=90", "--allocation=equal"]
    ran = run_command("evaluate sample", *words)
    assert ran.status == 0, ran.err
    return points


def test_screened_pixels_are_a_stratum_of_their_own(screened_map: Path) -> None:
    design = read_design(design_path(sample(screened_map)))
    found = [(stratum.name, stratum.label, stratum.screened, stratum.pixels) for stratum in design.strata]
    assert found == [
        ("other", 0, False, 39 * 15),
        ("cropland", 1, False, 39 * 15),
        ("other, screened", 0, True, 39 * 30),
    ]
    assert (design.column[design.stratum == 2] < 30).all()
    assert (design.column[design.stratum != 2] >= 30).all()


def test_the_estimate_counts_cropland_in_screened_pixels(screened_map: Path, tmp_path: Path) -> None:
    points = sample(screened_map)
    frame = geopandas.read_file(points, layer="points")
    # A tenth of the screened pixels is cropland; the map is right elsewhere.
    reference = np.where(frame["column"] < 3, 1, (frame["column"] >= 45).astype(int))
    frame["reference"] = [str(value) for value in reference]
    pyogrio.write_dataframe(frame, points, layer="points", layer_options={"OVERWRITE": "YES"})
    ran = run_command("evaluate area", f"--points={points}", f"--output={tmp_path / 'report'}")
    assert ran.status == 0, ran.err
    design = read_design(design_path(points))
    drawn = design.column[design.stratum == 2]
    expected = 39 * 15 + 39 * 30 * (drawn < 3).mean()
    found = json.loads((tmp_path / "report" / "area.json").read_text())
    assert found["classes"][0]["name"] == "cropland"
    assert found["classes"][0]["area_ha"]["value"] == pytest.approx(expected * 0.01, rel=2e-3)


def test_the_file_of_another_run_is_left_alone(screened_map: Path) -> None:
    assert screened_pixels(screened_map) is not None
    with rasterio.open(screened_map, "r+") as dataset:
        dataset.update_tags(SEG_SCREENED_PIXELS="0")
    assert screened_pixels(screened_map) is None
