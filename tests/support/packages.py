"""Model packages of untrained networks."""

from pathlib import Path

import torch

from seg.models.build import build_model
from seg.package.checkpoint import Checkpoint
from seg.package.write import write_package
from support.networks import TINY_NETWORK


def write_tiny_package(folder: Path) -> Path:
    """Write the package of a tiny network for 3 bands at 10 m with band means of 100, and return its folder."""
    torch.manual_seed(0)
    network = build_model(TINY_NETWORK, bands=3)
    network.normalization.fill([100.0] * 3, [10.0] * 3)
    task = {"bands": 3, "model": TINY_NETWORK.arguments(), "threshold": 0.5}
    names = ["red", "green", "blue"]
    data = {"bands": [1, 2, 3], "image_bands": 3, "band_names": names, "nodata": None, "pixel_size_m": 10.0}
    write_package(Checkpoint(Path("best.ckpt"), network.state_dict(), task, data, {}), folder)
    return folder
