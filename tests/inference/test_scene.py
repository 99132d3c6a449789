from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio

from seg.errors import RasterError
from seg.inference.blocks import pipeline
from seg.inference.compute.predictor import Estimate, Predictor
from seg.inference.identity import RunIdentity
from seg.inference.planning.plan import Plan
from seg.inference.scene import SceneMaps, predict_scene
from seg.inference.settings import PredictionSettings
from seg.labels import CROPLAND, IGNORE, OTHER
from seg.raster.grid import read_grid, require_same_grid
from seg.raster.writing.block_store import BlockStore

MakeScene = Callable[..., Path]
MakePredictor = Callable[..., Predictor]


def silent(plan: Plan, done: int) -> None:
    """Report nothing."""


def percent(maps: SceneMaps) -> np.ndarray:
    with rasterio.open(maps.probability) as dataset:
        return dataset.read(1).astype(int)


@pytest.mark.parametrize(
    ("block_size", "scales", "dihedral"),
    [(64, (1.0,), False), (72, (1.0,), False), (120, (1.0,), True), (96, (0.75, 1.0, 1.5), False)],
)
def test_a_halo_of_the_receptive_field_leaves_no_seams(
    make_scene: MakeScene,
    make_predictor: MakePredictor,
    block_size: int,
    scales: tuple[float, ...],
    dihedral: bool,
    tmp_path: Path,
) -> None:
    predictor = make_predictor(scales, dihedral)
    scene = make_scene(130, 170)
    with rasterio.open(scene) as dataset:
        whole = predictor.probability(dataset.read().astype(np.float32))
    cut = collected_probability(scene, predictor, block_size, predictor.receptive_field, tmp_path)
    np.testing.assert_allclose(cut, whole, atol=1e-5)


def test_without_a_halo_there_are_seams(make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path) -> None:
    predictor, scene = make_predictor(), make_scene(130, 170)
    with rasterio.open(scene) as dataset:
        whole = predictor.probability(dataset.read().astype(np.float32))
    assert np.abs(collected_probability(scene, predictor, 64, 0, tmp_path) - whole).max() > 0.05


def collected_probability(scene: Path, predictor: Predictor, block_size: int, halo: int, folder: Path) -> np.ndarray:
    """The float probabilities of a run in blocks, assembled from the estimates of its blocks."""
    grid = read_grid(scene)
    collected = np.full((grid.height, grid.width), np.nan, dtype=np.float32)
    plain = pipeline._write

    def remember(store: BlockStore, started: pipeline._StartedBlock, estimate: Estimate, identity: RunIdentity) -> None:
        collected[started.block.core.toslices()] = estimate.probability
        plain(store, started, estimate, identity)

    settings = PredictionSettings(block_size=block_size, halo=halo, tta=predictor.augmentation)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "_write", remember)
        predict_scene(scene, folder / "map.tif", predictor, settings, silent)
    return collected


def test_each_block_is_read_back_once(
    make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, read = BlockStore.read, []
    monkeypatch.setattr(BlockStore, "read", lambda store, name: read.append(name) or plain(store, name))
    predictor = make_predictor(dihedral=["identity", "rot90"], uncertainty=True)
    settings = PredictionSettings(block_size=64, halo=8)
    predict_scene(make_scene(100, 130), tmp_path / "map.tif", predictor, settings, silent)
    assert len(read) == len(set(read)) == 6


def test_maps_lie_on_exactly_the_grid_of_the_scene(
    make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path
) -> None:
    scene = make_scene(70, 90)
    maps = predict_scene(scene, tmp_path / "map.tif", make_predictor(), PredictionSettings(), silent)
    assert maps.probability.name == "map_probability.tif"
    for path in (maps.classes, maps.probability):
        require_same_grid(read_grid(path), read_grid(scene))
        assert read_grid(path).transform == read_grid(scene).transform


def test_maps_have_descriptions_and_tags(make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path) -> None:
    predictor = make_predictor()
    maps = predict_scene(make_scene(70, 90), tmp_path / "map.tif", predictor, PredictionSettings(), silent)
    with rasterio.open(maps.classes) as classes, rasterio.open(maps.probability) as probability:
        assert (classes.dtypes[0], classes.nodata) == (probability.dtypes[0], probability.nodata) == ("uint8", 255)
        assert classes.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert probability.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert probability.scales == (0.01,)
        assert classes.colormap(1)[CROPLAND] != classes.colormap(1)[OTHER]
        assert classes.tags()["SEG_MODEL"] == predictor.packages[0].weights_sha256
        assert set(np.unique(classes.read(1))) == {OTHER, CROPLAND}


def test_classes_follow_the_threshold(make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path) -> None:
    scene = make_scene(70, 90)
    shares = []
    for threshold in (0.0, 0.5, 1.0):
        settings = PredictionSettings(threshold=threshold)
        maps = predict_scene(scene, tmp_path / f"map{threshold}.tif", make_predictor(), settings, silent)
        with rasterio.open(maps.classes) as dataset:
            classes = dataset.read(1)
        shares.append((classes == CROPLAND).mean())
        clear = np.abs(percent(maps) - threshold * 100) > 1
        np.testing.assert_array_equal(classes[clear] == CROPLAND, percent(maps)[clear] > threshold * 100)
    assert shares[0] > shares[1] > shares[2]


def test_nodata_never_becomes_a_class(make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path) -> None:
    scene = make_scene(150, 150, nodata=0)
    with rasterio.open(scene, "r+") as dataset:
        pixels = dataset.read()
        pixels[:, :, :70] = 0
        pixels[1, 100, 100] = 0
        dataset.write(pixels)
    settings = PredictionSettings(block_size=64, halo=64)
    maps = predict_scene(scene, tmp_path / "map.tif", make_predictor(), settings, silent)
    wanted = np.zeros((150, 150), dtype=bool)
    wanted[:, :70] = wanted[100, 100] = True
    for path in (maps.classes, maps.probability):
        with rasterio.open(path) as dataset:
            np.testing.assert_array_equal(dataset.read(1) == IGNORE, wanted)


def test_blocks_without_data_are_not_computed(
    make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path
) -> None:
    scene, predictor, computed = make_scene(128, 256, nodata=0), make_predictor(), []
    with rasterio.open(scene, "r+") as dataset:
        dataset.write(np.zeros((3, 128, 128), np.uint16), window=((0, 128), (0, 128)))
    plain = predictor.start
    predictor.start = lambda image: computed.append(1) or plain(image)  # type: ignore[method-assign,func-returns-value]
    settings = PredictionSettings(block_size=128, halo=8)
    predict_scene(scene, tmp_path / "map.tif", predictor, settings, silent)
    assert len(computed) == 1


def test_zeros_that_are_mapped_as_data_are_counted(
    make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path
) -> None:
    scene = make_scene(40, 40)
    with rasterio.open(scene, "r+") as dataset:
        dataset.write(np.zeros((3, 10, 40), np.uint16), window=((0, 10), (0, 40)))
    counted = predict_scene(scene, tmp_path / "a.tif", make_predictor(), PredictionSettings(), silent)
    declared = predict_scene(scene, tmp_path / "b.tif", make_predictor(), PredictionSettings(nodata=0), silent)
    assert (counted.found.zero_pixels, declared.found.zero_pixels) == (400, 0)


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (3, 5)])
def test_the_smallest_scenes_are_mapped(
    make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path, size: tuple[int, int]
) -> None:
    settings = PredictionSettings(block_size=64, halo=8)
    maps = predict_scene(make_scene(*size), tmp_path / "map.tif", make_predictor(), settings, silent)
    assert percent(maps).shape == size
    assert percent(maps).max() <= 100


def test_a_scene_without_any_data_is_all_nodata(
    make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path
) -> None:
    scene = make_scene(200, 200, nodata=7)
    with rasterio.open(scene, "r+") as dataset:
        dataset.write(np.full((3, 200, 200), 7, np.uint16))
    maps = predict_scene(scene, tmp_path / "map.tif", make_predictor(), PredictionSettings(block_size=64), silent)
    assert set(np.unique(percent(maps))) == {IGNORE}


def test_a_truncated_scene_leaves_no_map(make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path) -> None:
    scene = make_scene(300, 300, tiled=True, blockxsize=64, blockysize=64, compress="deflate")
    content = scene.read_bytes()
    scene.write_bytes(content[: len(content) // 2])
    with pytest.raises(RasterError, match=r"scene\.tif.*cannot be read"):
        predict_scene(scene, tmp_path / "map.tif", make_predictor(), PredictionSettings(block_size=64, halo=8), silent)
    assert not (tmp_path / "map.tif").exists()
