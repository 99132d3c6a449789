"""Temperature, bias and threshold go from the checkpoint of a training into the package, and then into the map."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch

from seg.calibration.scaling import Scaling
from seg.errors import ConfigError, PackageError, RasterError
from seg.inference.compute.member import Member
from seg.inference.compute.predictor import Predictor
from seg.inference.compute.torch_backend import TorchBackend
from seg.inference.planning.plan import Plan
from seg.inference.scene import predict_scene
from seg.inference.settings import ComputeSettings, PredictionSettings
from seg.labels import CROPLAND
from seg.package.checkpoint import Checkpoint, load_checkpoint, read_checkpoint
from seg.package.description import DESCRIPTION, ModelPackage
from seg.package.read import load_model, read_package
from seg.package.write import write_package
from seg.raster.chips import Reading, read_chip, whole
from seg.raster.writing.block_store import partial_folder
from seg.training.cli import main
from support.training import write_config

MakeDataset = Callable[..., Path]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, make_dataset: MakeDataset) -> Path:
    """The folder of a training whose threshold was chosen for the highest F1; every tenth label is wrong."""
    folder = tmp_path_factory.mktemp("trained")
    config = write_config(folder, make_dataset)
    for path in (folder / "data" / "masks").iterdir():
        with rasterio.open(path, "r+") as mask:
            labels = mask.read(1)
            labels.flat[::10] ^= CROPLAND
            mask.write(labels, 1)
    words = ["--model.calibration.threshold=f1", "--trainer.max_epochs=6", "--model.optimizer.learning_rate=0.01"]
    assert main(["fit", f"--config={config}", *words]) == 0
    return folder


@pytest.fixture(scope="module")
def checkpoint(trained: Path) -> Checkpoint:
    return read_checkpoint(trained / "run" / "checkpoints" / "last.ckpt")


def map_scene(folder: Path, package: ModelPackage, scene: Path, output: Path) -> tuple[np.ndarray, np.ndarray]:
    """The classes and percents of a scene, mapped in one block."""
    predictor = Predictor(
        [Member(TorchBackend(folder, package, ComputeSettings(device="cpu")), package)], PredictionSettings().tta
    )
    maps = predict_scene(scene, output, predictor, PredictionSettings(), lambda plan, done: None)
    with rasterio.open(maps.classes) as classes, rasterio.open(maps.probability) as percent:
        assert classes.tags()["SEG_TEMPERATURE"] == str(package.temperature)
        assert percent.tags()["SEG_BIAS"] == str(package.bias)
        return classes.read(1), percent.read(1)


def test_a_package_has_temperature_bias_and_threshold_of_the_training(checkpoint: Checkpoint, tmp_path: Path) -> None:
    write_package(checkpoint, tmp_path / "model")
    package = read_package(tmp_path / "model")
    assert package.temperature == checkpoint.calibration["temperature"] != 1
    assert package.bias == checkpoint.calibration["bias"] != 0
    assert package.threshold == checkpoint.calibration["f1_threshold"] != 0.5
    assert package.metrics["calibration/ece_after"] == pytest.approx(package.metrics["val/ece_calibrated"])
    assert set(checkpoint.metrics) < set(package.metrics)


def test_a_scene_is_mapped_with_temperature_bias_and_threshold(
    trained: Path, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    package = write_package(checkpoint, tmp_path / "model")
    scene = trained / "data" / "images" / "scene_0.tif"
    with rasterio.open(scene) as dataset, torch.inference_mode():
        chip = read_chip(dataset, whole(dataset), Reading(package.bands, package.mean))
        logits = load_model(tmp_path / "model", package)(torch.from_numpy(chip.image)[None])
    own = package.temperature, package.bias, package.threshold
    for temperature, bias, threshold in (own, (3.0, -0.7, 0.55), (1.0, 0.0, 0.5)):
        changed = replace(package, temperature=temperature, bias=bias, threshold=threshold)
        classes, percent = map_scene(tmp_path / "model", changed, scene, tmp_path / f"{temperature}.tif")
        probability = (logits / temperature + bias).sigmoid()[0, 0].numpy()
        np.testing.assert_allclose(percent[chip.valid], (probability * 100)[chip.valid], atol=0.51)
        clear = chip.valid & (abs(probability - threshold) > 1e-4)
        np.testing.assert_array_equal((classes == CROPLAND)[clear], (probability > threshold)[clear])


def test_the_kept_threshold_maps_the_pixels_that_training_scored(
    trained: Path, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    scaling = Scaling(1.7, -0.6)
    calibration = {**scaling._asdict(), "threshold": scaling.threshold(0.3)}
    package = write_package(replace(checkpoint, calibration=calibration), tmp_path / "model")
    scene = trained / "data" / "images" / "scene_0.tif"
    plain = replace(package, temperature=1.0, bias=0.0, threshold=0.3)
    (scored, before), (mapped, after) = (
        map_scene(tmp_path / "model", described, scene, tmp_path / f"{described.bias}.tif")
        for described in (plain, package)
    )
    assert package.threshold < 0.3
    assert 0 < (scored == CROPLAND).mean() < 1
    assert (before != after).any()
    np.testing.assert_array_equal(mapped, scored)


@pytest.mark.parametrize("change", [{"temperature": 9.0}, {"bias": -9.0}])
def test_blocks_of_another_scaling_are_not_resumed(
    trained: Path, checkpoint: Checkpoint, tmp_path: Path, change: dict[str, float]
) -> None:
    class KilledError(Exception):
        pass

    def kill(plan: Plan, done: int) -> None:
        if done == 1:
            raise KilledError

    package = write_package(checkpoint, tmp_path / "model")
    scene, settings = trained / "data" / "images" / "scene_0.tif", PredictionSettings(block_size=8, halo=8)
    member = Member(TorchBackend(tmp_path / "model", package, ComputeSettings(device="cpu")), package)
    predictor = Predictor([member], settings.tta)
    with pytest.raises(KilledError):
        predict_scene(scene, tmp_path / "map.tif", predictor, settings, kill)
    assert partial_folder(tmp_path / "map.tif").exists()
    predictor = Predictor([replace(member, package=replace(package, **change))], settings.tta)
    with pytest.raises(RasterError, match="restart"):
        predict_scene(scene, tmp_path / "map.tif", predictor, settings, lambda plan, done: None)


def test_a_threshold_is_given_or_taken_from_the_validation(checkpoint: Checkpoint, tmp_path: Path) -> None:
    found = [write_package(checkpoint, tmp_path / "model", wanted).threshold for wanted in (0.7, "area", "f1")]
    assert found == [0.7, checkpoint.calibration["area_threshold"], checkpoint.calibration["f1_threshold"]]


def test_weights_that_were_not_validated_make_a_package_without_scaling(checkpoint: Checkpoint, tmp_path: Path) -> None:
    bare = replace(checkpoint, calibration={})
    package = write_package(bare, tmp_path / "model")
    assert (package.temperature, package.bias, package.threshold) == (1, 0, 0.5)
    with pytest.raises(ConfigError, match=r"last\.ckpt: has no threshold for f1 from validation; give a number"):
        write_package(bare, tmp_path / "model", "f1")


IMPOSSIBLE = [float("nan"), float("inf"), "warm", None, torch.ones(9, 9)]


@pytest.mark.parametrize("value", IMPOSSIBLE)
@pytest.mark.parametrize("name", ["temperature", "bias", "threshold", "ece_after"])
def test_an_invalid_calibration_of_a_checkpoint_is_refused_in_one_line(
    trained: Path, tmp_path: Path, name: str, value: object
) -> None:
    content = load_checkpoint(trained / "run" / "checkpoints" / "last.ckpt")
    content["calibration"][name] = value
    torch.save(content, tmp_path / "odd.ckpt")
    with pytest.raises(
        PackageError, match=rf"odd\.ckpt: its calibration has {name} .*wanted a finite number"
    ) as caught:
        read_checkpoint(tmp_path / "odd.ckpt")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(("name", "value"), [("temperature", 0.0), ("temperature", -1.0), ("threshold", 1.5)])
def test_a_calibration_out_of_range_gives_no_package(
    checkpoint: Checkpoint, tmp_path: Path, name: str, value: float
) -> None:
    with pytest.raises(PackageError, match=rf"last\.ckpt: lacks a value for the package \(.*{name}"):
        write_package(replace(checkpoint, calibration={name: value}), tmp_path / "model")


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name in ("temperature", "bias") for value in IMPOSSIBLE[:4]]
)
def test_a_description_with_an_invalid_scaling_is_refused(
    checkpoint: Checkpoint, tmp_path: Path, name: str, value: object
) -> None:
    write_package(checkpoint, tmp_path / "model")
    path = tmp_path / "model" / DESCRIPTION
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    with pytest.raises(PackageError, match=r"model\.json: not a description"):
        read_package(tmp_path / "model")


@pytest.mark.parametrize("name", ["temperature", "bias"])
def test_a_description_without_a_scaling_is_refused(checkpoint: Checkpoint, tmp_path: Path, name: str) -> None:
    write_package(checkpoint, tmp_path / "model")
    path = tmp_path / "model" / DESCRIPTION
    content = json.loads(path.read_text())
    del content[name]
    path.write_text(json.dumps(content))
    with pytest.raises(PackageError, match=rf"model\.json: not a description .*{name}"):
        read_package(tmp_path / "model")
