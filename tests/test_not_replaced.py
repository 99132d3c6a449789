"""Outputs do not replace files that another program wrote."""

import shutil
from collections.abc import Callable
from pathlib import Path

import geopandas
import numpy as np
import pyogrio
import pytest
import shapely
from PIL import Image

from seg.errors import ConfigError
from seg.evaluation.evaluate import REPORT_FILES, evaluate
from seg.evaluation.pairs import Inputs
from seg.evaluation.settings import EvaluationSettings
from seg.inference.inputs import jobs_of
from seg.parcels.settings import PolygonSettings
from seg.parcels.write_parcels import write_parcels
from seg.raster.folder import named_scenes

WriteRaster = Callable[..., Path]


@pytest.fixture
def map_file(write_raster: WriteRaster, tmp_path: Path) -> Path:
    classes = np.zeros((40, 50), np.uint8)
    classes[10:20, 10:30] = 1
    return write_raster(tmp_path / "map.tif", classes, nodata=255)


@pytest.mark.parametrize("name", REPORT_FILES)
def test_a_report_replaces_only_its_own_files(map_file: Path, tmp_path: Path, name: str) -> None:
    inputs, report = Inputs(map_file, map_file), tmp_path / "report"
    for _ in range(2):
        evaluate(inputs, report, EvaluationSettings(bootstrap=2))
    foreign = report / name
    match foreign.suffix:
        case ".json":
            foreign.write_text('{"software": {"name": "another"}}')
        case ".html":
            foreign.write_text("<html>my own</html>")
        case _:
            Image.new("RGB", (4, 4)).save(foreign)
    before = {path.name: path.read_bytes() for path in report.iterdir()}
    with pytest.raises(ConfigError, match=rf"{name}: was not written by cropland-seg, so it is not replaced"):
        evaluate(inputs, report, EvaluationSettings(bootstrap=2))
    assert {path.name: path.read_bytes() for path in report.iterdir()} == before


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson", ".parquet"])
def test_parcels_replace_only_their_own_file(map_file: Path, tmp_path: Path, suffix: str) -> None:
    output = tmp_path / f"parcels{suffix}"
    for _ in range(2):
        assert write_parcels(map_file, output, PolygonSettings()).parcels == 1
    box = [shapely.box(15, 45, 16, 46)]
    fields = geopandas.GeoDataFrame({"crop": ["wheat"]}, geometry=box, crs="EPSG:4326")
    fields.to_parquet(output) if suffix == ".parquet" else fields.to_file(output)
    before = output.read_bytes()
    with pytest.raises(ConfigError, match="has a column crop, so this project did not write it"):
        write_parcels(map_file, output, PolygonSettings())
    assert output.read_bytes() == before


def test_a_geopackage_with_another_layer_is_refused(map_file: Path, tmp_path: Path) -> None:
    output = tmp_path / "parcels.gpkg"
    write_parcels(map_file, output, PolygonSettings())
    box = [shapely.box(15, 45, 16, 46)]
    fields = geopandas.GeoDataFrame({"crop": ["wheat"]}, geometry=box, crs="EPSG:4326")
    fields.to_file(output, layer="by_hand", mode="a")
    with pytest.raises(ConfigError, match=r"parcels\.gpkg: holds the layer by_hand, which would be lost"):
        write_parcels(map_file, output, PolygonSettings())
    assert {"parcels", "by_hand"} == {str(name) for name, _ in pyogrio.list_layers(output)}


def test_maps_made_from_a_folder_replace_no_raster_of_another_program(map_file: Path, tmp_path: Path) -> None:
    scenes, maps = tmp_path / "scenes", tmp_path / "maps"
    for folder in (scenes, maps):
        folder.mkdir()
        shutil.copy(map_file, folder / "a.tif")
    with pytest.raises(ConfigError, match=r"maps/a\.tif: was not written by cropland-seg"):
        jobs_of(named_scenes([scenes]), maps, uncertainty=False)
