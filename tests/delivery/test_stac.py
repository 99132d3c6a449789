import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pystac
import pytest
from stac_model.schema import MLModelProperties

from seg.delivery.stac import map_item, write_map_item, write_package_item
from seg.errors import ConfigError, RasterError
from seg.package.read import read_package
from support.commands import assert_mistake, run_command
from support.packages import copy_by_scene, write_tiny_package

WriteRaster = Callable[..., Path]

WHEN = datetime(2025, 6, 12, tzinfo=UTC), datetime(2025, 6, 12, 23, 59, 59, tzinfo=UTC)


@pytest.fixture
def class_map(write_raster: WriteRaster, tmp_path: Path) -> Path:
    pixels = np.zeros((20, 30), np.uint8)
    write_raster(tmp_path / "map_probability.tif", pixels, nodata=255)
    return write_raster(tmp_path / "map.tif", pixels, nodata=255)


def test_a_map_has_an_item_with_its_place_and_classes(class_map: Path) -> None:
    item = pystac.Item.from_dict(json.loads(write_map_item(class_map, WHEN, []).read_text(encoding="utf-8")))
    assert item.properties["proj:code"] == "EPSG:32633"
    assert item.properties["proj:shape"] == [20, 30]
    assert item.properties["proj:transform"] == [10, 0, 500_000, 0, -10, 5_000_000]
    assert item.properties["start_datetime"] == "2025-06-12T00:00:00Z"
    assert item.bbox == pytest.approx([15.0, 45.1517, 15.0038, 45.1535], abs=1e-4)
    assert list(item.assets) == ["classes", "probability"]
    (band,) = item.assets["classes"].extra_fields["bands"]
    assert (band["data_type"], band["nodata"]) == ("uint8", 255)
    assert [(one["value"], one["name"], one["color_hint"]) for one in band["classification:classes"]] == [
        (0, "other", "D8D2C4"),
        (1, "cropland", "2E7D32"),
    ]


def test_a_map_without_a_crs_has_no_item(write_raster: WriteRaster, tmp_path: Path) -> None:
    path = write_raster(tmp_path / "bare.tif", np.zeros((4, 4), np.uint8), crs=None)
    with pytest.raises(RasterError, match=r"bare.tif: has no CRS"):
        map_item(path, WHEN, [])


def test_a_file_of_another_program_is_not_replaced(class_map: Path) -> None:
    class_map.with_suffix(".json").write_text("{}", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"map.json: was not written by cropland-seg"):
        write_map_item(class_map, WHEN, [])


def test_the_model_extension_accepts_the_item_of_a_package(class_map: Path, tmp_path: Path) -> None:
    folder = write_tiny_package(tmp_path / "model")
    content = json.loads(write_package_item(folder, read_package(folder), WHEN[0]).read_text(encoding="utf-8"))
    item = pystac.Item.from_dict(content)
    properties = MLModelProperties(**item.properties)
    assert properties.input[0].input.shape == [-1, 3, -1, -1]
    assert properties.input[0].bands == ["red", "green", "blue"]
    assert item.assets["weights"].roles == ["mlm:model", "mlm:weights"]
    links = map_item(class_map, WHEN, [folder])["links"]
    assert [(link["rel"], link["href"]) for link in links] == [("derived_from", "model/item.json")]


def test_the_item_of_a_model_that_normalises_scenes_tells_how(tmp_path: Path) -> None:
    folder = copy_by_scene(write_tiny_package(tmp_path / "model"), tmp_path / "by_scene")
    content = json.loads(write_package_item(folder, read_package(folder), WHEN[0]).read_text(encoding="utf-8"))
    told = MLModelProperties(**content["properties"]).input[0].pre_processing_function
    assert "(value - scene mean) / scene deviation" in str(told)


def test_predict_writes_styles_and_an_item_beside_its_maps(write_raster: WriteRaster, tmp_path: Path) -> None:
    folder = write_tiny_package(tmp_path / "model")
    scene = write_raster(tmp_path / "scene.tif", np.full((3, 24, 20), 100, np.uint16))
    words = (
        f"--model={folder}",
        f"--input={scene}",
        f"--output={tmp_path / 'out.tif'}",
        "--backend=torch",
        "--threads=1",
    )
    assert_mistake(run_command("predict", *words, "--stac=true"), "--stac is True", "--observed")
    ran = run_command("predict", *words, "--stac=true", "--observed=2025-06-12", "--qgis=true")
    assert ran.status == 0, ran.err
    assert {path.name for path in tmp_path.glob("out*")} == {
        "out.tif",
        "out.tif.aux.xml",
        "out.qml",
        "out.json",
        "out_probability.tif",
        "out_probability.qml",
    }


def test_a_run_that_fails_leaves_the_item_of_an_older_map(write_raster: WriteRaster, tmp_path: Path) -> None:
    folder = write_tiny_package(tmp_path / "model")
    scene = write_raster(tmp_path / "scene.tif", np.full((3, 24, 20), 100, np.uint16))
    words = (f"--model={folder}", f"--input={scene}", f"--output={tmp_path / 'out.tif'}", "--backend=torch", "--stac")
    assert run_command("predict", *words, "--observed=2025-06-12").status == 0
    os.utime(tmp_path / "out.tif", (0, 0))  # the map is older than the next run
    item = (tmp_path / "out.json").read_bytes()
    scene.write_bytes(scene.read_bytes()[:300])
    assert run_command("predict", *words, "--observed=2026-06-12").status == 2
    assert (tmp_path / "out.json").read_bytes() == item
