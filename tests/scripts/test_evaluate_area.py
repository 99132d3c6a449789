"""`scripts/evaluate.py sample` and `area`: from a map to areas with standard errors."""

import json
import re
import subprocess
import sys
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
from rasterio import Affine

from support.commands import assert_mistake
from support.interpreted_points import WriteRaster, draw_sample, evaluate, interpret, true_classes, write_map
from support.project import SCRIPTS


@pytest.fixture(autouse=True)
def _here(write_raster: WriteRaster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder that holds map.tif."""
    monkeypatch.chdir(tmp_path)
    write_map(write_raster, Path("map.tif"))


@pytest.fixture
def truth() -> np.ndarray:
    return true_classes()


def test_areas_from_a_sample_have_intervals_that_contain_the_truth(truth: np.ndarray) -> None:
    points = draw_sample(standard_error=0.02, users_accuracy="{cropland: 0.9, other: 0.85}")
    interpret(points, truth)
    status, out, err = evaluate("area", points=points, output="report")
    assert (status, err) == (0, "")
    content = json.loads(Path("report/area.json").read_text())
    cropland = next(one for one in content["classes"] if one["name"] == "cropland")["area_ha"]
    true_ha = truth.sum() * 0.01 / 0.9996**2
    assert content["pixel_count"]["cropland_ha"] < 0.85 * true_ha
    assert cropland["low"] < true_ha < cropland["high"]
    assert cropland["high"] - cropland["low"] == pytest.approx(2 * 1.959964 * cropland["standard_error"])
    assert f"{cropland['value']:,.1f}" in out
    assert "95 % interval" in out
    assert sum(one["weight"] for one in content["strata"]) == pytest.approx(1)
    assert np.array(content["confusion"]).sum() == content["samples"]
    assert np.array(content["error_matrix_proportions"]).sum() == pytest.approx(1)
    assert content["classes"][0]["users_accuracy"]["value"] == 1
    assert any("all" in note and "cropland" in note for note in content["notes"])


def test_map_of_cropland_only_gets_an_estimate_of_the_other_class(truth: np.ndarray, write_raster: WriteRaster) -> None:
    write_raster(Path("all.tif"), np.ones_like(truth))
    assert evaluate("sample", prediction="all.tif", output="all.gpkg", points=200)[0] == 0
    interpret(Path("all.gpkg"), truth)
    assert evaluate("area", points="all.gpkg", output="report")[0] == 0
    other = json.loads(Path("report/area.json").read_text())["classes"][1]
    assert (other["name"], other["users_accuracy"]["value"]) == ("other", None)
    assert other["area_ha"]["low"] < (truth == 0).sum() * 0.01 / 0.9996**2 < other["area_ha"]["high"]
    assert other["producers_accuracy"]["value"] == 0


def test_points_do_not_contain_the_map_and_lie_in_their_pixels() -> None:
    points = geopandas.read_file(draw_sample(points=80, minimum=10), layer="points")
    pixels = geopandas.read_file("points.gpkg", layer="pixels")
    assert list(points.columns) == ["id", "lon", "lat", "row", "column", "reference", "geometry"]
    assert points["reference"].isna().all()
    assert points.crs == "EPSG:32633"
    assert (points["id"] == np.arange(1, 81)).all()
    assert pixels.contains(points.geometry).all()
    assert pixels.area.round(6).eq(100).all()
    lonlat = points.to_crs("EPSG:4326").geometry
    assert np.allclose(lonlat.x, points["lon"], atol=1e-7)
    design = json.loads(Path("points.design.json").read_text())
    with rasterio.open("map.tif") as dataset:
        mapped = dataset.read(1)[points["row"], points["column"]]
    assert mapped.tolist() == [design["strata"][place]["label"] for place in design["stratum"]]
    assert 0 < mapped.sum() < 80


def test_target_error_is_printed_and_reached() -> None:
    _, out, _ = evaluate("sample", prediction="map.tif", output="points.gpkg", standard_error=0.015)
    told = re.search(r"accuracy: ([\d.]+)", out)
    assert told is not None
    assert float(told[1]) <= 0.015
    _, out, _ = evaluate("sample", prediction="map.tif", output="more.gpkg", standard_error="null", area_error=0.02)
    total = re.search(r"^([\d,]+) points", out, re.MULTILINE)
    assert total is not None
    assert int(total[1].replace(",", "")) > 1500


@pytest.mark.parametrize("suffix", [".csv", ".geojson", ".gpkg"])
def test_each_format_of_the_points_gives_the_same_hectares(truth: np.ndarray, suffix: str) -> None:
    points = draw_sample(points=150)
    filled = Path(f"filled{suffix}")
    interpret(points, truth, filled)
    status, _, err = evaluate("area", points=filled, design="points.design.json", output="one")
    assert (status, err) == (0, "")
    interpret(points, truth)
    evaluate("area", points=points, output="two")
    one, two = (json.loads(Path(name, "area.json").read_text()) for name in ("one", "two"))
    assert one["classes"] == two["classes"]


def test_references_may_be_names_or_numbers_of_classes(truth: np.ndarray) -> None:
    frame = interpret(draw_sample(points=100), truth, Path("filled.csv"))
    frame["reference"] = [{"0": " Other", "1": "CROPLAND "}[value] for value in frame["reference"]]
    frame.drop(columns=["geometry", "row", "column"]).to_csv("named.csv", index=False)
    for name in ("filled", "named"):
        assert evaluate("area", points=f"{name}.csv", design="points.design.json", output=name)[0] == 0
    one, two = (json.loads(Path(name, "area.json").read_text()) for name in ("filled", "named"))
    assert one["classes"] == two["classes"]


def test_another_map_is_evaluated_with_the_same_points(truth: np.ndarray, write_raster: WriteRaster) -> None:
    interpret(draw_sample(points=200), truth)
    write_raster(Path("better.tif"), truth, nodata=255)
    status, _, _ = evaluate("area", points="points.gpkg", prediction="better.tif", output="report")
    content = json.loads(Path("report/area.json").read_text())
    assert status == 0
    assert content["overall_accuracy"]["value"] == 1
    assert content["map"]["path"] == "better.tif"
    assert content["pixel_count"]["cropland_ha"] == pytest.approx(truth.sum() * 0.01 / 0.9996**2, rel=1e-5)


@pytest.mark.parametrize(("choice", "samples"), [("drop", 92), ("other", 100), ("cropland", 100)])
def test_unfilled_points_are_treated_as_requested(truth: np.ndarray, choice: str, samples: int) -> None:
    frame = interpret(draw_sample(points=100), truth)
    frame.loc[frame["id"].between(3, 10), "reference"] = None
    frame.drop(columns="geometry").to_csv("points.csv", index=False)
    ran = evaluate("area", points="points.csv", output="report")
    assert_mistake(ran, "8 points (3, 4, 5, 6, 7, ...) of 100 without a reference")
    status, out, _ = evaluate("area", points="points.csv", output="report", unfilled=choice)
    assert status == 0
    assert "points without a reference: 8" in out
    assert json.loads(Path("report/area.json").read_text())["samples"] == samples


def test_map_in_degrees_is_counted_in_ground_areas(write_raster: WriteRaster) -> None:
    pixels = np.zeros((60, 10), np.uint8)
    pixels[:30] = 1
    place = {"crs": "EPSG:4326", "transform": Affine(0.5, 0, 100, 0, -1, 60)}
    write_raster(Path("degrees.tif"), pixels, **place)
    assert evaluate("sample", prediction="degrees.tif", output="degrees.gpkg", points=200)[0] == 0
    interpret(Path("degrees.gpkg"), pixels)
    evaluate("area", points="degrees.gpkg", output="report")
    content = json.loads(Path("report/area.json").read_text())
    # The northern half of the pixels has (sin(60) - sin(30)) / sin(60) of the area of a sphere.
    assert content["strata"][1]["weight"] == pytest.approx(1 - 0.5 / np.sin(np.pi / 3), abs=0.002)
    assert content["classes"][0]["area_ha"]["value"] == pytest.approx(content["pixel_count"]["cropland_ha"])


def test_subcommands_start_without_heavy_libraries() -> None:
    heavy = "{'torch', 'lightning', 'geopandas', 'matplotlib.pyplot'}"
    code = f"import runpy, sys; runpy.run_path({str(SCRIPTS / 'evaluate.py')!r}); print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
