import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio

from seg.errors import PackageError
from seg.inference import feature_layers as layers_module
from seg.inference.compute.predictor import Predictor
from seg.inference.feature_layers import Layers, require_layers, write_layers
from seg.inference.planning.fitting import fit_scene
from seg.inference.settings import PredictionSettings
from seg.inference.unlikeness import pooled_patches
from seg.package.features import describe_features
from seg.raster.chips import Reading, read_chip, whole
from seg.raster.grid import open_raster
from support.commands import assert_mistake, run_command

BOTH = Layers(features=True, distance=True)


@pytest.fixture
def scene(make_scene: Callable[..., Path]) -> Path:
    """A scene of 150 x 200 pixels whose upper left corner of 90 x 70 pixels has no data."""
    path = make_scene(150, 200, nodata=0)
    with rasterio.open(path, "r+") as dataset:
        pixels = dataset.read()
        pixels[:, :90, :70] = 0
        dataset.write(pixels)
    return path


@pytest.fixture
def predictor(make_predictor: Callable[..., Predictor], scene: Path) -> Predictor:
    """The tiny model, with a description of the scene's own features."""
    plain = make_predictor()
    with open_raster(scene) as dataset:
        chip = read_chip(dataset, whole(dataset), Reading([1, 2, 3], plain.fill))
    vectors = pooled_patches(plain.members[0].backend.features(chip.image), chip.valid, 8, 16)
    known = describe_features([vectors[:10], vectors[10:]])
    return Predictor([replace(plain.members[0], features=known)], plain.augmentation)


def written(scene: Path, output: Path, predictor: Predictor, layers: Layers = BOTH) -> list[Path]:
    return write_layers(fit_scene(scene, predictor, PredictionSettings()), output, predictor, layers)


def test_features_have_a_pixel_per_stride_with_scale_and_nodata(
    scene: Path, predictor: Predictor, tmp_path: Path
) -> None:
    features, *_ = written(scene, tmp_path / "map.tif", predictor)
    with rasterio.open(features) as dataset, rasterio.open(scene) as original:
        stored = dataset.read()
        assert (dataset.shape, dataset.dtypes[0], dataset.nodata) == ((19, 25), "int8", -128)
        assert dataset.transform == original.transform @ rasterio.Affine.scale(8)
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        scales = set(dataset.scales)
        image = original.read().astype(np.float32)
    assert (stored[:, :11, :8] == -128).all()
    assert (stored[:, 12:, :] != -128).all()
    [scale] = scales
    image[:, :90, :70] = np.asarray(predictor.fill)[:, None, None]
    wanted = predictor.members[0].backend.features(image)
    clear = stored != -128
    assert np.abs(np.clip(wanted, 0, 127 * scale)[clear] - stored[clear] * scale).max() <= scale / 2 + 1e-4


def test_layers_do_not_depend_on_the_blocks(
    scene: Path, predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for core in (512, 64):
        monkeypatch.setattr(layers_module, "CORE", core)
        paths = written(scene, tmp_path / f"{core}.tif", predictor)
        found.append([rasterio.open(path).read() for path in paths[:2]])
    assert np.array_equal(found[0][0], found[1][0])
    assert np.array_equal(found[0][1], found[1][1])


def test_distance_has_one_value_per_patch_and_its_limit_is_in_the_json(
    scene: Path, predictor: Predictor, tmp_path: Path
) -> None:
    _, distance, told = written(scene, tmp_path / "map.tif", predictor)
    with rasterio.open(distance) as dataset:
        levels, scale = dataset.read(1), dataset.scales[0]
    known = predictor.members[0].features
    assert known is not None
    assert scale == pytest.approx(known.limit / 100)
    assert (levels[:8, :8] == 255).all()
    assert len(np.unique(levels[8:16, 8:16])) == 1
    assert json.loads(told.read_text())["limit"] == pytest.approx(known.limit)


def test_layers_of_an_equal_run_are_kept(scene: Path, predictor: Predictor, tmp_path: Path) -> None:
    assert len(written(scene, tmp_path / "map.tif", predictor)) == 3
    assert written(scene, tmp_path / "map.tif", predictor) == []
    assert written(scene, tmp_path / "map.tif", predictor, Layers(features=False, distance=False)) == []


def test_a_killed_run_continues(
    scene: Path, predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layers_module, "CORE", 64)
    whole_run = written(scene, tmp_path / "whole.tif", predictor)[0].read_bytes()
    backend = predictor.members[0].backend
    calls: list[int] = []
    real = type(backend).features

    def dies(image: np.ndarray) -> np.ndarray:
        calls.append(1)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return real(backend, image)

    monkeypatch.setattr(backend, "features", dies)
    with pytest.raises(KeyboardInterrupt):
        written(scene, tmp_path / "map.tif", predictor)
    assert list((tmp_path / "map_features.tif.partial").glob("*.npy"))
    assert written(scene, tmp_path / "map.tif", predictor)[0].read_bytes() == whole_run
    assert not (tmp_path / "map_features.tif.partial").exists()


def test_several_models_and_missing_descriptions_are_refused(
    predictor: Predictor, make_predictor: Callable[..., Predictor]
) -> None:
    plain = make_predictor()
    with pytest.raises(PackageError, match="give one model"):
        require_layers(Predictor([*plain.members, *plain.members], plain.augmentation), BOTH)
    with pytest.raises(PackageError, match="export it again with --data"):
        require_layers(plain, BOTH)
    require_layers(plain, Layers(features=True, distance=False))
    require_layers(predictor, BOTH)


def test_predict_writes_layers_beside_the_maps(package_folder: Path, scene: Path, tmp_path: Path) -> None:
    words = ("--model", package_folder, "--input", scene, "--output", tmp_path / "map.tif", "--backend=torch")
    ran = run_command("predict", *words, "--features=true")
    assert ran.status == 0, ran.err
    assert "map_features.tif: written" in ran.out
    (tmp_path / "map_features.tif").unlink()
    again = run_command("predict", *words, "--features=true")
    assert "kept" in again.out
    assert "map_features.tif: written" in again.out
    assert "map_features.tif" not in run_command("predict", *words, "--features=true").out
    assert_mistake(run_command("predict", *words, "--distance"), "export it again with --data")
