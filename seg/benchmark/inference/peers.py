"""Tiled inference of other libraries, called as in their documentation, with the whole raster in memory."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import rasterio
import torch
from torch import Tensor, nn

from seg.errors import ConfigError
from seg.package.read import load_model, read_package

TILE, STRIDE = 512, 384
"""Side of a tile and step between tiles, in pixels. The overlap is a quarter, MONAI's default."""


@dataclass(frozen=True)
class Peer:
    """Another library.

    Attributes:
        name: Name of its module.
        run: Function that maps a raster to a GeoTIFF with the weights of a package, and returns the time in seconds.
    """

    name: str
    run: Callable[[Path, Path, Path], float]


def installed_peers() -> list[Peer]:
    """Installed libraries.

    Raises:
        ConfigError: No library is installed.
    """
    known = [Peer("monai", run_monai), Peer("terratorch", run_terratorch)]
    found = [peer for peer in known if find_spec(peer.name)]
    if not found:
        raise ConfigError("--peers needs monai or terratorch, and neither is installed; pip install monai terratorch")
    return found


def run_monai(model: Path, scene: Path, output: Path) -> float:
    """Time in seconds of MONAI's `sliding_window_inference` (https://docs.monai.io/en/stable/inferers.html)."""
    from monai.inferers import sliding_window_inference

    def infer(image: Tensor, network: nn.Module) -> Tensor:
        logits: Tensor = sliding_window_inference(image, (TILE, TILE), 1, network, overlap=1 - STRIDE / TILE)
        return logits

    return _timed(model, scene, output, infer)


def run_terratorch(model: Path, scene: Path, output: Path) -> float:
    """Time in seconds of TerraTorch's `tiled_inference` (https://ibm.github.io/terratorch/stable/guide/inference)."""
    from terratorch.tasks.tiled_inference import tiled_inference

    def infer(image: Tensor, network: nn.Module) -> Tensor:
        logits: Tensor = tiled_inference(network, image, crop=TILE, stride=STRIDE, batch_size=1)
        return logits

    return _timed(model, scene, output, infer)


def _timed(model: Path, scene: Path, output: Path, infer: Callable[[Tensor, nn.Module], Tensor]) -> float:
    network = load_model(model, read_package(model))
    start = time.perf_counter()
    with rasterio.open(scene) as dataset, torch.inference_mode():
        image = torch.from_numpy(dataset.read(out_dtype="float32"))[None]
        probability = infer(image, network)[0, 0].sigmoid()
        profile = dataset.profile | {"count": 1, "dtype": "uint8"}
    with rasterio.open(output, "w", **profile) as written:
        written.write((probability > 0.5).to(torch.uint8).numpy(), 1)
    return time.perf_counter() - start
