from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio

from seg.errors import ConfigError, RasterError
from seg.inference.compute.predictor import Predictor
from seg.inference.planning.fitting import fit_scene
from seg.inference.planning.plan import Plan
from seg.inference.scene import predict_scene
from seg.inference.settings import PredictionSettings
from seg.labels import IGNORE
from support.damage import damage_tile

MakeScene = Callable[..., Path]
MakePredictor = Callable[..., Predictor]

TILES = {"tiled": True, "blockxsize": 32, "blockysize": 32, "compress": "deflate"}
AROUND = PredictionSettings(block_size=64, halo=16, on_unreadable="nodata")


def silent(plan: Plan, done: int) -> None:
    """Report nothing."""


@pytest.fixture
def damaged(make_scene: MakeScene) -> Path:
    """A scene whose tile in row 1, column 3 is unreadable; the tile also lies in the halo of three blocks."""
    path = make_scene(130, 170, **TILES)
    damage_tile(path, row=1, column=3)
    return path


def test_by_default_an_unreadable_tile_ends_the_run(
    damaged: Path, make_predictor: MakePredictor, tmp_path: Path
) -> None:
    with pytest.raises(RasterError, match=r"scene\.tif: pixels at row .* cannot be read"):
        predict_scene(damaged, tmp_path / "map.tif", make_predictor(), PredictionSettings(), silent)


@pytest.mark.parametrize("halo", [16, "measure"])
def test_a_damaged_tile_becomes_nodata_and_the_rest_is_mapped(
    damaged: Path, make_predictor: MakePredictor, tmp_path: Path, halo: int
) -> None:
    settings = PredictionSettings(block_size=64, halo=halo, on_unreadable="nodata")
    maps = predict_scene(damaged, tmp_path / "map.tif", make_predictor(), settings, silent)
    wanted = np.zeros((130, 170), dtype=bool)
    wanted[32:64, 96:128] = True
    with rasterio.open(maps.classes) as classes, rasterio.open(maps.probability) as probability:
        np.testing.assert_array_equal(classes.read(1) == IGNORE, wanted)
        np.testing.assert_array_equal(probability.read(1) == IGNORE, wanted)
    assert maps.found.damaged_pixels == 32 * 32


def test_unreadable_pixels_outside_the_area_are_not_counted(
    damaged: Path, make_predictor: MakePredictor, tmp_path: Path
) -> None:
    area = "500000,5398800,501000,5400000"  # columns up to 100
    settings = PredictionSettings(block_size=64, halo=16, on_unreadable="nodata", area=area)
    maps = predict_scene(damaged, tmp_path / "map.tif", make_predictor(), settings, silent)
    assert maps.found.damaged_pixels == 32 * 4


def test_an_intact_scene_gives_the_same_map_with_either_treatment(
    make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path
) -> None:
    scene, maps = make_scene(130, 170, **TILES), []
    for name, settings in (("a", AROUND), ("b", PredictionSettings(block_size=64, halo=16))):
        made = predict_scene(scene, tmp_path / f"{name}.tif", make_predictor(), settings, silent)
        with rasterio.open(made.probability) as dataset:
            maps.append(dataset.read(1))
        assert made.found.damaged_pixels == 0
    np.testing.assert_array_equal(*maps)


def test_blocks_are_not_resumed_with_another_treatment_of_unreadable_pixels(
    damaged: Path, make_predictor: MakePredictor, tmp_path: Path
) -> None:
    with pytest.raises(RasterError, match="cannot be read"):
        predict_scene(
            damaged, tmp_path / "map.tif", make_predictor(), PredictionSettings(block_size=32, halo=8), silent
        )
    settings = PredictionSettings(block_size=32, halo=8, on_unreadable="nodata")
    with pytest.raises(RasterError, match="another on unreadable"):
        predict_scene(damaged, tmp_path / "map.tif", make_predictor(), settings, silent)


def test_mapping_unreadable_pixels_as_nodata_is_refused_for_a_scene_on_a_server(make_predictor: MakePredictor) -> None:
    with pytest.raises(ConfigError, match=r"read from a server.*on-unreadable"):
        fit_scene(Path("https://host/scene.tif"), make_predictor(), AROUND)
