from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from seg.entry import prepare
from seg.models.build import build_model
from seg.package.checkpoint import Checkpoint
from seg.package.write import write_package
from support.networks import TINY_NETWORK


@pytest.fixture(scope="session")
def main() -> Callable[[Sequence[str]], int]:
    """Function that runs the command `prepare` with words of a command line and returns its exit status."""
    return prepare.main


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Package of a tiny network for 3 bands at 10 m."""
    torch.manual_seed(0)
    network = build_model(TINY_NETWORK, bands=3)
    network.normalization.fill([100.0] * 3, [10.0] * 3)
    task = {"bands": 3, "model": TINY_NETWORK.arguments(), "threshold": 0.5}
    names = ["red", "green", "blue"]
    data = {"bands": [1, 2, 3], "image_bands": 3, "band_names": names, "nodata": None, "pixel_size_m": 10.0}
    folder = tmp_path_factory.mktemp("models") / "tiny"
    write_package(Checkpoint(Path("best.ckpt"), network.state_dict(), task, data, {}), folder)
    return folder
