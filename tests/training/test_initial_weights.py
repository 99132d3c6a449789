from dataclasses import replace
from pathlib import Path

import pytest
import torch

from seg.errors import ConfigError, PackageError
from seg.models.build import build_model
from seg.models.segmenter import Segmenter
from seg.package.checkpoint import Checkpoint
from seg.package.write import write_package
from seg.training.initial_weights import take_weights
from support.networks import STAGED_NETWORK, TINY_NETWORK


@pytest.fixture(scope="module")
def trained() -> Segmenter:
    torch.manual_seed(0)
    model = build_model(TINY_NETWORK, bands=3)
    model.normalization.fill([5.0] * 3, [2.0] * 3)
    return model


@pytest.fixture(scope="module")
def package(trained: Segmenter, tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = {"bands": [1, 2, 3], "image_bands": 3, "band_names": [""] * 3, "nodata": None, "pixel_size_m": None}
    task = {"bands": 3, "model": TINY_NETWORK.arguments(), "threshold": 0.5}
    folder = tmp_path_factory.mktemp("models") / "tiny"
    write_package(Checkpoint(Path("best.ckpt"), trained.state_dict(), task, data, {}), folder)
    return folder


@pytest.fixture(scope="module")
def checkpoint(trained: Segmenter, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "last.ckpt"
    content = {
        "state_dict": {f"model.{name}": tensor for name, tensor in trained.state_dict().items()},
        "hyper_parameters": {"bands": 3, "model": TINY_NETWORK.arguments()},
        "CroplandDataModule": {},
    }
    torch.save(content, path)
    return path


@pytest.mark.parametrize("source", ["package", "checkpoint"])
def test_equal_networks_take_all_weights_and_keep_their_band_statistics(
    trained: Segmenter, source: str, request: pytest.FixtureRequest
) -> None:
    model = build_model(TINY_NETWORK, bands=3)
    model.normalization.fill([7.0] * 3, [1.0] * 3)
    taken = take_weights(model, request.getfixturevalue(source))
    assert "all" in str(taken)
    for name, tensor in trained.network.state_dict().items():
        assert torch.equal(model.network.state_dict()[name], tensor)
    assert model.normalization.mean.tolist() == [7.0] * 3


def test_layers_of_other_shapes_are_listed_with_the_reason(package: Path) -> None:
    model = build_model(replace(TINY_NETWORK, boundary=True), bands=3)
    before = model.network.head.weight.clone()
    taken = take_weights(model, package)
    assert set(taken.left) == {"network.head.weight", "network.head.bias"}
    assert "network.head.weight: shape [1, 8, 1, 1], wanted [2, 8, 1, 1]" in str(taken)
    assert torch.equal(model.network.head.weight, before)


def test_for_other_bands_the_layers_of_other_shapes_are_left_out(package: Path) -> None:
    taken = take_weights(build_model(TINY_NETWORK, bands=4), package)
    assert taken.left
    assert all("shape" in reason for reason in taken.left.values())
    assert len(taken.taken) > len(taken.left)


def test_weights_of_another_architecture_are_refused(package: Path) -> None:
    with pytest.raises(ConfigError, match="encoder dilated_tiny"):
        take_weights(build_model(STAGED_NETWORK, bands=3), package)


def test_weights_that_are_not_finite_are_not_copied(trained: Segmenter, checkpoint: Path, tmp_path: Path) -> None:
    content = torch.load(checkpoint, weights_only=True)
    content["state_dict"]["model.network.head.bias"] = torch.tensor([float("nan")])
    torch.save(content, tmp_path / "nan.ckpt")
    taken = take_weights(build_model(TINY_NETWORK, bands=3), tmp_path / "nan.ckpt")
    assert taken.left == {"network.head.bias": "holds NaN or infinity"}


def test_a_missing_file_is_named_in_the_error(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="no such file"):
        take_weights(build_model(TINY_NETWORK, bands=3), tmp_path / "none.ckpt")
