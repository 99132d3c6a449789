"""Mistakes in `scripts/evaluate.py sample` and `area` are reported in one line with exit status 2."""

import json
from pathlib import Path

import geopandas
import numpy as np
import pytest
from rasterio import Affine

from support.commands import assert_mistake
from support.interpreted_points import WriteRaster, draw_sample, evaluate, interpret, true_classes, write_map


@pytest.fixture(autouse=True)
def _here(write_raster: WriteRaster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder that holds map.tif."""
    monkeypatch.chdir(tmp_path)
    write_map(write_raster, Path("map.tif"))


@pytest.fixture
def truth() -> np.ndarray:
    return true_classes()


def spoil(frame: geopandas.GeoDataFrame, kind: str) -> geopandas.GeoDataFrame:
    if kind == "unknown":
        frame.loc[[4, 6], "reference"] = "maize"
    elif kind == "twice":
        frame.loc[5, "id"] = 9
    elif kind == "stranger":
        frame.loc[5, "id"] = 999
    elif kind == "moved":
        frame.loc[5, "row"] += 1
    elif kind == "column":
        return frame.drop(columns="reference")
    elif kind == "text":
        frame["id"] = "one"
    elif kind == "lost":
        return frame[frame["id"] > 2]
    return frame


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        (
            "unknown",
            "2 points (5, 7) with an unknown class as reference, such as 'maize'; wanted 0 (other), 1",
        ),
        ("twice", "point 9 more than once"),
        ("stranger", "1 point (999) missing from the design of the sample"),
        ("moved", "1 point (6) on another row or column"),
        ("column", "has no column 'reference'"),
        ("text", "column 'id' has a value that is not a whole number"),
        ("lost", "2 points (1, 2) of 100 without a reference"),
    ],
)
def test_bad_points_are_refused_in_one_line_with_status_2(truth: np.ndarray, kind: str, wanted: str) -> None:
    frame = interpret(draw_sample(points=100), truth)
    spoil(frame.drop(columns="geometry"), kind).to_csv("points.csv", index=False)
    assert_mistake(evaluate("area", points="points.csv", output="report"), "points.csv", wanted)
    assert not Path("report").exists()


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"points": "nowhere.gpkg"}, "nowhere.gpkg: no such file"),
        ({"design": "nowhere.json"}, "nowhere.json: no such file"),
        ({"design": "map.tif"}, "map.tif: not readable as the design of a sample"),
        ({"confidence": 95}, "confidence is 95"),
        ({"unfilled": "ignore"}, "unfilled"),
        ({"output": "map.tif"}, "map.tif: is a file"),
        ({"prediction": "small.tif"}, "small.tif: size is 20x20, but map.tif has 150x120"),
        ({"prediction": "moved.tif"}, "moved.tif: lies up to 1 pixels off map.tif"),
        ({"design": "cut.json"}, "cut.json: is damaged: it has no row"),
        ({"prediction": "holes.tif"}, "holes.tif: covers"),
    ],
)
def test_bad_options_of_area_are_refused_in_one_line_with_status_2(
    truth: np.ndarray, write_raster: WriteRaster, options: dict[str, object], wanted: str
) -> None:
    interpret(draw_sample(points=100), truth)
    write_raster(Path("small.tif"), truth[:20, :20])
    write_raster(Path("moved.tif"), truth, transform=Affine(10, 0, 500_010, 0, -10, 5_000_000))
    design = json.loads(Path("points.design.json").read_text())
    Path("cut.json").write_text(json.dumps({name: value for name, value in design.items() if name != "row"}))
    write_raster(Path("holes.tif"), np.where(np.arange(truth.shape[1]) < 9, 255, truth).astype(np.uint8))
    assert_mistake(evaluate("area", **({"points": "points.gpkg", "output": "report"} | options)), wanted)


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"prediction": "nowhere.tif"}, "nowhere.tif: no such file"),
        ({"output": "points.csv"}, "wanted a file name that ends in .gpkg"),
        ({"output": "nowhere/points.gpkg"}, "its folder nowhere does not exist"),
        ({"standard_error": "null"}, "standard-error is None"),
        ({"standard_error": 2}, "standard-error is 2"),
        ({"users_accuracy": "{cropland: 0.9}"}, "wanted one number, or one for each class of the map: cropland, other"),
        ({"users_accuracy": 1}, "users-accuracy is 1"),
        ({"allocation": "best"}, "allocation"),
        ({"minimum": 1}, "minimum is 1"),
        ({"prediction": "classes.tif", "area_error": 0.1}, "area-error needs a map of cropland (1) and other (0)"),
        ({"prediction": "nowhere_on_earth.tif"}, "has no CRS"),
    ],
)
def test_bad_options_of_sample_are_refused_in_one_line_with_status_2(
    write_raster: WriteRaster, options: dict[str, object], wanted: str
) -> None:
    write_raster(Path("classes.tif"), np.full((9, 9), 5, np.uint8))
    write_raster(Path("nowhere_on_earth.tif"), np.zeros((9, 9), np.uint8), crs=None)
    assert_mistake(evaluate("sample", **({"prediction": "map.tif", "output": "points.gpkg"} | options)), wanted)
    assert not Path("points.gpkg").exists()


def test_points_that_may_hold_work_are_never_replaced() -> None:
    content = draw_sample(points=100).read_bytes()
    status, _, err = evaluate("sample", prediction="map.tif", output="points.gpkg")
    assert (status, err.count("\n")) == (2, 1)
    assert "may hold an interpreter's work" in err
    assert Path("points.gpkg").read_bytes() == content


def test_a_killed_draw_continues_with_its_own_design_and_keeps_another_design() -> None:
    draw_sample(points=100)
    Path("points.gpkg").unlink()  # the points are written last
    draw_sample(points=100)
    Path("points.gpkg").unlink()
    status, _, err = evaluate("sample", prediction="map.tif", output="points.gpkg", points=90)
    assert (status, err.startswith("error: points.design.json: exists")) == (2, True)
