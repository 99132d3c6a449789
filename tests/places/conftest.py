from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from seg.models.build import build_model
from seg.package.checkpoint import Checkpoint
from seg.package.write import write_package
from support.networks import TINY_NETWORK, enliven


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package of a tiny network for 3 bands around 2000, calibrated, whose probabilities differ."""
    torch.manual_seed(0)
    network = enliven(build_model(TINY_NETWORK, bands=3), bands=3)
    network.normalization.fill([2000.0] * 3, [200.0] * 3)
    data = {
        "bands": [1, 2, 3],
        "image_bands": 3,
        "band_names": ["red", "green", "blue"],
        "nodata": 0.0,
        "pixel_size_m": 10.0,
    }
    task = {"bands": 3, "model": TINY_NETWORK.arguments(), "threshold": 0.5}
    calibration = {"temperature": 0.8, "bias": 0.1, "ece_before": 0.2, "ece_after": 0.1, "threshold": 0.4}
    folder = tmp_path_factory.mktemp("models") / "tiny"
    write_package(
        Checkpoint(Path("best.ckpt"), network.state_dict(), task, data, {"val/iou": 0.7}, calibration), folder
    )
    return folder


@pytest.fixture(scope="session")
def fields() -> Callable[..., npt.NDArray[np.float32]]:
    """`fields(height, width, seed=0)`: (3, height, width) patches of 8 x 8 pixels and noise, mean 0, deviation 1."""

    def make(height: int, width: int, seed: int = 0) -> npt.NDArray[np.float32]:
        random = np.random.default_rng(seed)
        patches = random.normal(size=(3, height // 8 + 1, width // 8 + 1)).repeat(8, 1).repeat(8, 2)
        pixels = patches[:, :height, :width] + 0.3 * random.normal(size=(3, height, width))
        return (pixels / pixels.std()).astype(np.float32)

    return make


@pytest.fixture(scope="session")
def write_place(
    write_raster: Callable[..., Path], fields: Callable[..., npt.NDArray[np.float32]]
) -> Callable[..., list[Path]]:
    """`write_place(folder, sizes, mean=2000, std=200, dtype="uint16", **profile)`: writes scenes of these sizes."""

    def write(
        folder: Path,
        sizes: Sequence[tuple[int, int]],
        mean: float = 2000.0,
        std: float = 200.0,
        dtype: str = "uint16",
        **profile: object,
    ) -> list[Path]:
        names = ("red", "green", "blue")
        return [
            write_raster(
                folder / f"scene_{number}.tif",
                (fields(*size, seed=number) * std + mean).astype(dtype),
                descriptions=names,
                **profile,
            )
            for number, size in enumerate(sizes)
        ]

    return write
