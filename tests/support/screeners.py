"""Screeners with known weights, and scenes that they screen in part."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import rasterio
import torch
from rasterio.transform import from_origin

from seg.inference.screening.features import FEATURES, GEOMETRY
from seg.models.build import build_model
from seg.package.checkpoint import Checkpoint
from seg.package.screener import Screener, add_screener
from seg.package.write import write_package
from support.networks import TINY_NETWORK

GREEN = 1
"""Position of the share of green pixels in the cell itself among the features."""


def green_screener(**changes: object) -> Screener:
    """A screener whose logit is 20 times the share of green pixels minus 10; it screens shares of up to 10 %."""
    weights = np.zeros((1, FEATURES))
    weights[0, GREEN] = 20
    screener = Screener(
        geometry=GEOMETRY,
        places=(0, 1, 2),
        otsu=(1e9, 0.3, 0.5),
        mean=np.zeros(FEATURES),
        covariance=np.eye(FEATURES),
        limit=10.0,
        layers=((weights, np.array([-10.0])),),
        cut=-8.0,
        alpha=0.001,
        scenes=20,
        screened=0.5,
        lost=0.0,
    )
    return replace(screener, **changes)


def write_half_green(path: Path, height: int, width: int, green: tuple[slice, slice], **options: object) -> Path:
    """Write a scene of the bands green, red and near infrared: bare ground, with plants in a rectangle."""
    random = np.random.default_rng(height * 1000 + width)
    pixels = random.normal(2000, 60, (3, height, width))
    pixels[2][green] += 2500
    profile: dict[str, object] = {
        "driver": "GTiff",
        "height": height,
        "width": width,
        "count": 3,
        "dtype": "uint16",
        "crs": "EPSG:32632",
        "transform": from_origin(500_000, 5_400_000, 10, 10),
    }
    with rasterio.open(path, "w", **(profile | options)) as dataset:
        dataset.write(pixels.clip(1, 60_000).astype(np.uint16))
        dataset.descriptions = ("green", "red", "nir")
    return path


def write_screened_package(folder: Path, screener: Screener | None = None) -> Path:
    """Write the package of a tiny untrained network for green, red and near infrared, with a screener."""
    torch.manual_seed(0)
    network = build_model(TINY_NETWORK, bands=3)
    network.normalization.fill([2000.0, 2000.0, 3000.0], [100.0, 100.0, 1500.0])
    task = {"bands": 3, "model": TINY_NETWORK.arguments(), "threshold": 0.5}
    names = ["green", "red", "nir"]
    data = {"bands": [1, 2, 3], "image_bands": 3, "band_names": names, "nodata": None, "pixel_size_m": 10.0}
    write_package(Checkpoint(Path("best.ckpt"), network.state_dict(), task, data, {}), folder)
    add_screener(folder, screener or green_screener())
    return folder
