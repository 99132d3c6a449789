from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as Xml

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window

from seg.errors import RasterError
from seg.inference.compute.predictor import Predictor
from seg.inference.planning.plan import Plan
from seg.inference.scene import SceneMaps, predict_scene
from seg.inference.settings import PredictionSettings
from seg.labels import IGNORE
from seg.raster.grid import read_grid, require_same_grid
from seg.raster.writing.vrt import add_band, add_source, vrt_root
from support.damage import damage_tile

MakeScene = Callable[..., Path]
MakePredictor = Callable[..., Predictor]

SPLIT = 100
"""The column between the two source files of the mosaic."""


def silent(plan: Plan, done: int) -> None:
    """Report nothing."""


def percent(maps: SceneMaps) -> np.ndarray:
    with rasterio.open(maps.probability) as dataset:
        return dataset.read(1)


@pytest.fixture
def scene(make_scene: MakeScene) -> Path:
    return make_scene(130, 170)


@pytest.fixture
def mosaic(scene: Path) -> Path:
    """The scene as a VRT of two adjacent files."""
    path = scene.with_name("mosaic.vrt")
    with rasterio.open(scene) as source:
        root = vrt_root(source, Window(0, 0, 170, 130))
        bands = [add_band(root, source, band) for band in source.indexes]
        for name, left, width in (("west.tif", 0, SPLIT), ("east.tif", SPLIT, 170 - SPLIT)):
            window = Window(left, 0, width, 130)
            profile = source.profile | {"width": width, "transform": source.window_transform(window)}
            profile |= {"tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "deflate"}
            with rasterio.open(scene.with_name(name), "w", **profile) as part:
                part.write(source.read(window=window))
            for number, band in enumerate(bands, start=1):
                add_source(band, Path(name), str(number), Window(0, 0, width, 130))
                band[-1].find("DstRect").set("xOff", str(left))
    path.write_text(Xml.tostring(root, encoding="unicode"))
    return path


def test_a_mosaic_is_mapped_as_one_scene(
    scene: Path, mosaic: Path, make_predictor: MakePredictor, tmp_path: Path
) -> None:
    settings = PredictionSettings(block_size=64, halo=16)
    whole = predict_scene(scene, tmp_path / "whole.tif", make_predictor(), settings, silent)
    joined = predict_scene(mosaic, tmp_path / "joined.tif", make_predictor(), settings, silent)
    np.testing.assert_array_equal(percent(joined), percent(whole))
    require_same_grid(read_grid(joined.classes), read_grid(scene))


def test_a_damaged_source_ends_the_run_or_becomes_nodata_on_request(
    mosaic: Path, make_predictor: MakePredictor, tmp_path: Path
) -> None:
    damage_tile(mosaic.with_name("east.tif"), row=0, column=4)
    with pytest.raises(RasterError, match=r"mosaic\.vrt: pixels at row .* cannot be read"):
        predict_scene(mosaic, tmp_path / "map.tif", make_predictor(), PredictionSettings(), silent)
    settings = PredictionSettings(on_unreadable="nodata", restart=True)
    lost = percent(predict_scene(mosaic, tmp_path / "map.tif", make_predictor(), settings, silent)) == IGNORE
    # The tiles of a VRT are 128 pixels wide; every tile that overlaps the damaged tile of the file is lost.
    wanted = np.zeros((130, 170), dtype=bool)
    wanted[:128, 128:] = True
    np.testing.assert_array_equal(lost, wanted)


@pytest.mark.parametrize("settings", [PredictionSettings(), PredictionSettings(on_unreadable="nodata")])
def test_a_missing_source_always_ends_the_run(
    mosaic: Path, make_predictor: MakePredictor, tmp_path: Path, settings: PredictionSettings
) -> None:
    mosaic.with_name("east.tif").unlink()
    with pytest.raises(RasterError, match=r"mosaic\.vrt: .*east\.tif"):
        predict_scene(mosaic, tmp_path / "map.tif", make_predictor(), settings, silent)
    assert not (tmp_path / "map.tif").exists()
