from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio

from seg.inference.area_of_interest import area_on
from seg.inference.compute.predictor import Predictor
from seg.inference.planning.fitting import fit_scene
from seg.inference.progress import predict_with_progress
from seg.inference.scene import predict_scene
from seg.inference.settings import PredictionSettings
from seg.inference.unlikeness import Unlikeness, pooled_patches, scene_unlikeness
from seg.package.features import FeatureDescription, describe_features
from seg.raster.chips import Reading, read_chip, whole
from seg.raster.grid import open_raster, read_grid

READING = Reading([1, 2, 3], [1000.0, 2000.0, 3000.0])


@pytest.fixture
def known(make_predictor: Callable[..., Predictor], make_scene: Callable[..., Path]) -> FeatureDescription:
    """Description of the features of a scene of 256 x 512 pixels, which stands for the training images."""
    [member] = make_predictor().members
    windows = []
    with open_raster(make_scene(256, 512, "training.tif")) as dataset:
        chip = read_chip(dataset, whole(dataset), READING)
    for left in range(0, 512, 64):
        part = slice(None), slice(left, left + 64)
        windows.append(pooled_patches(member.backend.features(chip.image[:, *part]), chip.valid[part], 8))
    return describe_features(windows)


@pytest.fixture
def predictor(make_predictor: Callable[..., Predictor], known: FeatureDescription) -> Predictor:
    plain = make_predictor()
    return Predictor([replace(plain.members[0], features=known)], plain.augmentation)


def brighter(scene: Path, factor: float) -> Path:
    with rasterio.open(scene) as dataset:
        pixels, profile = dataset.read(), dataset.profile
    other = scene.with_name("brighter.tif")
    with rasterio.open(other, "w", **profile) as dataset:
        dataset.write((pixels * factor).astype(np.uint16))
    return other


def test_patches_without_enough_data_are_left_out() -> None:
    features = np.arange(2 * 16 * 24, dtype=np.float32).reshape(2, 16, 24)
    valid = np.ones((128, 192), dtype=bool)
    valid[:64, :40] = False
    vectors = pooled_patches(features, valid, stride=8)
    assert vectors.shape == (5, 2)
    assert vectors[0].tolist() == features[:, :8, 8:16].mean(axis=(1, 2)).tolist()


def test_a_changed_scene_lies_further_away(predictor: Predictor, make_scene: Callable[..., Path]) -> None:
    scene = make_scene(256, 300)
    near, far = (
        scene_unlikeness(read_grid(path), None, READING, predictor.members) for path in (scene, brighter(scene, 3))
    )
    assert near is not None
    assert far is not None
    assert far.distance > 1.5 * near.distance
    assert far.unlike
    assert far.share_nearer == 1


def test_without_a_description_no_distance_is_measured(
    make_predictor: Callable[..., Predictor], make_scene: Callable[..., Path]
) -> None:
    assert scene_unlikeness(read_grid(make_scene(64, 64)), None, READING, make_predictor().members) is None


def test_only_windows_of_the_area_are_sampled(
    predictor: Predictor, make_scene: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = read_grid(make_scene(600, 600))
    seen = []
    monkeypatch.setattr(
        "seg.inference.unlikeness.read_chip",
        lambda dataset, window, reading: seen.append(window) or read_chip(dataset, window, reading),
    )
    area = area_on(grid, "500000,5399000,501000,5400000", None)  # the 100 x 100 pixels at the upper left
    scene_unlikeness(grid, area, READING, predictor.members)
    assert [(window.row_off, window.col_off) for window in seen] == [(0, 0)]


def test_maps_have_the_distance_of_their_scene_in_their_tags(
    predictor: Predictor, make_scene: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = PredictionSettings(any_unit=True)
    scene = fit_scene(brighter(make_scene(128, 128), 3), predictor, settings)
    predict_with_progress(scene, tmp_path / "map.tif", predictor, settings, "scene")
    said = capsys.readouterr()
    assert "features: distance" in said.out
    assert "is unlike the training images" in said.err
    with rasterio.open(tmp_path / "map.tif") as dataset:
        tags = dataset.tags()
    assert float(tags["SEG_DISTANCE"]) > float(tags["SEG_DISTANCE_LIMIT"])


def test_distance_does_not_depend_on_the_blocks(
    predictor: Predictor, make_scene: Callable[..., Path], tmp_path: Path
) -> None:
    scene, tags = make_scene(128, 160), []
    for size in (64, 128):
        predict_scene(
            scene, tmp_path / f"{size}.tif", predictor, PredictionSettings(block_size=size), lambda plan, done: None
        )
        with rasterio.open(tmp_path / f"{size}.tif") as dataset:
            tags.append(dataset.tags()["SEG_DISTANCE"])
    assert tags[0] == tags[1]


def test_a_distance_is_shown_as_text() -> None:
    assert str(Unlikeness(2.5, 1.8, 1.0)) == (
        "distance 2.50 from the training images, beyond their 99th percentile of 1.80 "
        "(100% of the training windows are nearer)"
    )
