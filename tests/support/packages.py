"""Model packages of untrained networks."""

import shutil
from dataclasses import replace
from pathlib import Path

import torch

from seg.models.build import build_model
from seg.package.checkpoint import Checkpoint
from seg.package.description import DESCRIPTION, description_text
from seg.package.read import read_package
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


def copy_by_scene(package: Path, folder: Path) -> Path:
    """Copy a package, so that the copy normalises each scene by its own statistics, and return its folder."""
    shutil.copytree(package, folder)
    read = read_package(folder)
    arguments = {**read.architecture["arguments"], "normalisation": "scene"}
    changed = replace(read, architecture={**read.architecture, "arguments": arguments})
    (folder / DESCRIPTION).write_text(description_text(changed))
    return folder
