"""Designs of samples in files that are damaged or were changed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasterio import Affine
from rasterio.crs import CRS

from seg.errors import DatasetError
from seg.evaluation.area.design import Design, read_design, write_design
from seg.evaluation.area.population import StratumTally
from seg.raster.grid import Grid

GRID = Grid(Path("map.tif"), 40, 50, 1, CRS.from_epsg(32632), Affine(10, 0, 5e5, 0, -10, 5e6), None, "uint8")
DESIGN = Design(
    map="map.tif",
    map_sha256="0" * 64,
    grid=GRID,
    settings={"seed": 1},
    classes={0: "other", 1: "cropland"},
    strata=(StratumTally("other", 0, None, 1500, 15.0), StratumTally("cropland", 1, None, 500, 5.0)),
    ids=np.arange(1, 4),
    stratum=np.array([0, 1, 1]),
    row=np.array([0, 5, 39]),
    column=np.array([0, 5, 49]),
    pixel_area_m2=np.full(3, 100.0),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_design(DESIGN, tmp_path / "points.design.json")
    return tmp_path / "points.design.json"


def test_a_design_is_read_as_it_was_written(path: Path) -> None:
    found = read_design(path)
    assert (found.map, found.classes, found.settings) == (DESIGN.map, DESIGN.classes, DESIGN.settings)
    assert tuple(found.strata) == DESIGN.strata
    assert found.grid.transform == GRID.transform
    for name in ("ids", "stratum", "row", "column", "pixel_area_m2"):
        np.testing.assert_array_equal(getattr(found, name), getattr(DESIGN, name))


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("classes", [0, 1], "classes is [0, 1]; wanted values by name"),
        ("classes", {"0": "other"}, "strata without pixels, an area or a class"),
        ("classes", {"0": "other", "1": "cropland", "x": "y"}, "classes that are no numbers"),
        (
            "strata",
            [{"name": 5, "label": 0, "zone": None, "pixels": 1, "area_ha": 1}],
            "strata.0.name is 5; wanted text",
        ),
        ("strata", [{"name": "a", "label": 0, "zone": None, "pixels": "1", "area_ha": 1}], "strata.0.pixels is '1'"),
        ("ids", [1, 2, 2], "an id twice"),
        ("ids", [1, True, 3], "ids.1 is True; wanted a whole number"),
        ("row", [[0], [5], [9]], "row.0 is [0]; wanted a whole number"),
        ("row", [0, 5, 40], "points outside the grid"),
        ("column", [-1, 5, 9], "points outside the grid"),
        ("stratum", [0, 1, 2], "points without a stratum"),
        ("pixel_area_m2", [100, 0, 100], "points without a stratum or an area"),
        ("grid", None, "grid is None; wanted values by name"),
        ("grid", {"height": 40, "width": 50, "crs": "x", "transform": [1, 2]}, "its transform does not have 6 numbers"),
        ("grid", {"height": 40, "width": 50, "crs": "x", "transform": [1] * 6}, "is damaged"),
        ("map", 7, "map is 7; wanted text"),
        ("settings", "seed", "settings is 'seed'; wanted values by name"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line_that_names_it(path: Path, key: str, value: object, problem: str) -> None:
    content: dict[str, Any] = json.loads(path.read_text())
    path.write_text(json.dumps(content | {key: value}))
    with pytest.raises(DatasetError) as caught:
        read_design(path)
    assert str(caught.value).startswith(f"{path}: is damaged")
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[" * 100_000, "it is nested too deeply"),
        ('{"format": 1' + "0" * 5000 + "}", "a number has 5001 digits"),
        ('{"format": 1, "height": 1e999}', "a number is 1e999, too large for 64 bits"),
        ("5", "has format None"),
        ('{"format": "' + "x" * 500 + '"}', "has format xxxxxxxxxxxxxxxxxxxx, wanted 1"),
    ],
)
def test_a_file_that_is_not_a_design_is_refused_in_one_line(path: Path, text: str, problem: str) -> None:
    path.write_text(text)
    with pytest.raises(DatasetError) as caught:
        read_design(path)
    assert problem in str(caught.value)
    assert len(str(caught.value)) < 400
