from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio

from seg.errors import ConfigError, RasterError
from seg.inference.blocks.layers import empty_pixels, layer_pixels
from seg.inference.compute.predictor import Estimate, Predictor
from seg.inference.planning.plan import Plan
from seg.inference.scene import SceneMaps, predict_scene
from seg.inference.settings import PredictionSettings
from seg.labels import IGNORE
from seg.raster.grid import read_grid, require_same_grid
from seg.raster.writing.block_store import partial_folder

MakeScene = Callable[..., Path]
MakePredictor = Callable[..., Predictor]

SETTINGS = PredictionSettings(block_size=64, halo=16)
TURNS = ["identity", "rot90", "transpose"]


def silent(plan: Plan, done: int) -> None:
    """Report nothing."""


def interrupt(plan: Plan, done: int) -> None:
    """Interrupt after two blocks."""
    if done == 2:
        raise KeyboardInterrupt


def mapped(scene: Path, output: Path, predictor: Predictor) -> SceneMaps:
    return predict_scene(scene, output, predictor, SETTINGS, silent)


def test_the_uncertainty_map_holds_the_standard_deviation_over_views(
    make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path
) -> None:
    scene, predictor = make_scene(60, 70), make_predictor(dihedral=TURNS, uncertainty=True)
    maps = predict_scene(scene, tmp_path / "map.tif", predictor, PredictionSettings(), silent)
    with rasterio.open(scene) as dataset:
        pixels = dataset.read().astype(np.float32)
    views = [make_predictor(dihedral=[name]).probability(pixels) for name in TURNS]
    assert maps.uncertainty == tmp_path / "map_uncertainty.tif"
    with rasterio.open(maps.uncertainty) as dataset:
        found = dataset.read(1) * dataset.scales[0]
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert (dataset.dtypes[0], dataset.nodata, dataset.scales) == ("uint8", IGNORE, (0.005,))
        assert "standard deviation" in dataset.descriptions[0]
        assert dataset.tags()["SEG_MODEL"] == predictor.packages[0].weights_sha256
    np.testing.assert_allclose(found, np.std(views, axis=0), atol=0.0026)
    assert found.max() > 0.05
    require_same_grid(read_grid(maps.uncertainty), read_grid(scene))


def test_the_other_maps_are_the_same_without_uncertainty(
    make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path
) -> None:
    scene = make_scene(150, 200)
    plain = mapped(scene, tmp_path / "plain.tif", make_predictor(dihedral=TURNS))
    more = mapped(scene, tmp_path / "more.tif", make_predictor(dihedral=TURNS, uncertainty=True))
    assert plain.uncertainty is None
    assert not (tmp_path / "plain_uncertainty.tif").exists()
    for one, other in ((plain.classes, more.classes), (plain.probability, more.probability)):
        with rasterio.open(one) as without, rasterio.open(other) as beside:
            np.testing.assert_array_equal(without.read(), beside.read())
            differing = dict(without.tags().items() ^ beside.tags().items())
            assert set(differing) == {"SEG_RUN"}  # the runs differ in the set of maps


def test_nodata_is_nodata_in_the_uncertainty(
    make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path
) -> None:
    scene = make_scene(150, 200, nodata=0)
    with rasterio.open(scene, "r+") as dataset:
        dataset.write(np.zeros((3, 90, 90), np.uint16), window=((0, 90), (0, 90)))  # a whole block and parts of others
    maps = mapped(scene, tmp_path / "map.tif", make_predictor(dihedral=TURNS, uncertainty=True))
    empty = np.zeros((150, 200), bool)
    empty[:90, :90] = True
    with rasterio.open(maps.uncertainty) as dataset:
        np.testing.assert_array_equal(dataset.read(1) == IGNORE, empty)


def test_blocks_with_uncertainty_are_resumed_only_with_uncertainty(
    make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path
) -> None:
    scene, output = make_scene(150, 200), tmp_path / "map.tif"
    whole = mapped(scene, tmp_path / "whole.tif", make_predictor(dihedral=TURNS, uncertainty=True))
    with pytest.raises(KeyboardInterrupt):
        predict_scene(scene, output, make_predictor(dihedral=TURNS, uncertainty=True), SETTINGS, interrupt)
    with pytest.raises(RasterError, match="another uncertainty"):
        mapped(scene, output, make_predictor(dihedral=TURNS))
    assert partial_folder(output).exists()
    resumed = mapped(scene, output, make_predictor(dihedral=TURNS, uncertainty=True))
    assert resumed.uncertainty is not None
    assert whole.uncertainty is not None
    assert resumed.uncertainty.read_bytes() == whole.uncertainty.read_bytes()


def test_a_run_with_uncertainty_refuses_blocks_without_uncertainty(
    make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path
) -> None:
    scene, output = make_scene(150, 200), tmp_path / "map.tif"
    with pytest.raises(KeyboardInterrupt):
        predict_scene(scene, output, make_predictor(dihedral=TURNS), SETTINGS, interrupt)
    with pytest.raises(RasterError, match="another uncertainty"):
        mapped(scene, output, make_predictor(dihedral=TURNS, uncertainty=True))


def test_the_scene_is_never_replaced_by_the_uncertainty(
    make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path
) -> None:
    scene = make_scene(20, 20, name="s_uncertainty.tif")
    with pytest.raises(ConfigError, match=r"s_uncertainty\.tif: is one of the inputs"):
        mapped(scene, tmp_path / "s.tif", make_predictor(dihedral=TURNS, uncertainty=True))


def test_the_largest_deviation_is_stored_as_one_hundred() -> None:
    estimate = Estimate(np.array([[0.5, 0.2]], np.float32), np.array([[0.5, 0.1]], np.float32))
    pixels = layer_pixels(np.array([[True, True]]), estimate, 0.3)
    assert pixels.tolist() == [[[1, 0]], [[50, 20]], [[100, 20]]]
    assert empty_pixels((1, 2), layers=3).tolist() == [[[IGNORE, IGNORE]]] * 3
