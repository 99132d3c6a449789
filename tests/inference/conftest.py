from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from seg.inference.augmentation import TestTimeAugmentation
from seg.inference.compute.member import Member
from seg.inference.compute.predictor import Predictor
from seg.inference.compute.torch_backend import TorchBackend
from seg.inference.planning.fitting import fit_scene
from seg.inference.planning.plan import Plan, plan_scene
from seg.inference.settings import ComputeSettings, PredictionSettings
from seg.models.build import build_model
from seg.models.config import ModelConfig
from seg.package.checkpoint import Checkpoint
from seg.package.description import ONNX, ModelPackage
from seg.package.read import read_package
from seg.package.write import add_onnx, write_package
from support.scenes import write_scene

MEAN, STD = (1000.0, 2000.0, 3000.0), (100.0, 200.0, 300.0)


def random_checkpoint(seed: int = 1, mean: Sequence[float] = MEAN, threshold: float = 0.5) -> Checkpoint:
    """Checkpoint of a small random network whose probabilities vary between pixels."""
    torch.manual_seed(seed)
    bands = len(mean)
    config = ModelConfig(
        encoder="tu-test_resnet", output_stride=8, pyramid_rates=(1, 2), pyramid_channels=8, decoder_channels=(8, 8, 8)
    )
    model = build_model(config, bands)
    model.normalization.fill(mean, STD)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.8, 1.5)
    nn.init.normal_(model.network.head.weight, std=2.0)
    with torch.inference_mode():
        image = torch.randn(1, bands, 64, 64) * model.normalization.std[:, None, None] + 2000
        model.network.head.bias -= model.eval()(image).median()
    return Checkpoint(
        path=Path("best.ckpt"),
        weights=model.state_dict(),
        task={"bands": bands, "model": config.arguments(), "threshold": threshold},
        data={
            "bands": list(range(1, bands + 1)),
            "image_bands": bands,
            "band_names": ["red", "green", "blue"],
            "nodata": None,
            "pixel_size_m": 10.0,
        },
        metrics={"val/iou": 0.5},
    )


@pytest.fixture(scope="session")
def with_boundary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model package of a tiny network of two bands with a boundary head."""
    torch.manual_seed(0)
    config = ModelConfig(encoder="dilated_tiny", output_stride=2, decoder_channels=(8,), boundary=True)
    data = {"bands": [1, 2], "image_bands": 2, "band_names": ["", ""], "nodata": None, "pixel_size_m": None}
    model = build_model(config, bands=2)
    task = {"bands": 2, "model": config.arguments(), "threshold": 0.5}
    folder = tmp_path_factory.mktemp("models") / "boundary"
    write_package(Checkpoint(Path("best.ckpt"), model.state_dict(), task, data, {}), folder)
    return folder


@pytest.fixture(scope="session")
def package_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model package for 3 bands at 10 m."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    write_package(random_checkpoint(), folder)
    return folder


@pytest.fixture(scope="session")
def two_packages(package_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The model package, and a package with other weights, band means and threshold."""
    folder = tmp_path_factory.mktemp("models") / "other"
    write_package(random_checkpoint(seed=2, mean=(1100.0, 1900.0, 2500.0), threshold=0.3), folder)
    return [package_folder, folder]


@pytest.fixture(scope="session")
def onnx_package(package_folder: Path) -> Path:
    """The model package, with its ONNX file."""
    if not (package_folder / ONNX).exists():
        add_onnx(package_folder)
    return package_folder


@pytest.fixture(scope="session")
def tiny_package(package_folder: Path) -> ModelPackage:
    """Description of the model package."""
    return read_package(package_folder)


@pytest.fixture(scope="session")
def torch_backend(package_folder: Path) -> TorchBackend:
    """PyTorch with the network of the model package; tests get copies, which share the network."""
    return TorchBackend(package_folder, read_package(package_folder), ComputeSettings(device="cpu"))


@pytest.fixture
def make_predictor(package_folder: Path, torch_backend: TorchBackend) -> Callable[..., Predictor]:
    """Function that makes a predictor of the model package; keywords are views and changes of its description."""

    def make(
        scales: tuple[float, ...] = (1.0,),
        dihedral: bool | list[str] = False,
        uncertainty: bool = False,
        **description: object,
    ) -> Predictor:
        package = read_package(package_folder)
        member = Member(copy(torch_backend), replace(package, **description))
        return Predictor([member], TestTimeAugmentation(scales, dihedral), uncertainty)

    return make


@pytest.fixture
def planned() -> Callable[[Path, Predictor, PredictionSettings], Plan]:
    """Function that returns the plan of a scene file."""
    return lambda scene, predictor, settings: plan_scene(fit_scene(scene, predictor, settings), predictor, settings)


@pytest.fixture
def make_scene(tmp_path: Path) -> Callable[..., Path]:
    """Function `make_scene(height, width, name="scene.tif", **options)` that writes a scene into the test's folder."""
    return lambda height, width, name="scene.tif", **options: write_scene(tmp_path / name, height, width, **options)
