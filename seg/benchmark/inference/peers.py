"""Tiled inference of other libraries, called as in their documentation."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import rasterio
import torch
from rasterio.windows import Window
from torch import Tensor, nn

from seg.benchmark.timing import peak_memory_mib
from seg.errors import ConfigError
from seg.package.read import load_model, read_package

TILE, STRIDE = 512, 384
"""Side of a tile and step between tiles, in pixels. The overlap is a quarter, MONAI's default."""

MapScene = Callable[[nn.Module, Path, Path], None]
"""Maps a raster with a network to a GeoTIFF of probabilities in percent."""


@dataclass(frozen=True)
class PeerRun:
    """One run of another library over a scene.

    Attributes:
        seconds: Time from the loaded model to the finished map.
        peak_mib: Peak memory of the process in MiB.
    """

    seconds: float
    peak_mib: float


@dataclass(frozen=True)
class Peer:
    """Another library.

    Attributes:
        name: Name of the library's module.
        maps: Function that maps a scene.
    """

    name: str
    maps: MapScene

    def run(self, model: Path, scene: Path, output: Path) -> PeerRun:
        """Map a scene with the weights of a package.

        Args:
            model: Folder of the package.
            scene: The raster.
            output: GeoTIFF for the probability in percent.
        """
        network = load_model(model, read_package(model))
        start = time.perf_counter()
        with torch.inference_mode():
            self.maps(network, scene, output)
        return PeerRun(time.perf_counter() - start, peak_memory_mib())


def installed_peers() -> list[Peer]:
    """Installed libraries.

    Raises:
        ConfigError: No library is installed.
    """
    known = {"monai": map_with_monai, "terratorch": map_with_terratorch, "torchgeo": map_with_torchgeo}
    found = [Peer(name, maps) for name, maps in known.items() if find_spec(name)]
    if not found:
        raise ConfigError(f"--peers needs {' or '.join(known)}, and none is installed; pip install {' '.join(known)}")
    return found


def map_with_monai(network: nn.Module, scene: Path, output: Path) -> None:
    """Map a scene in memory by `sliding_window_inference` (https://docs.monai.io/en/stable/inferers.html)."""
    from monai.inferers import sliding_window_inference

    _map_whole(
        scene, output, lambda image: sliding_window_inference(image, (TILE, TILE), 1, network, 1 - STRIDE / TILE)
    )


def map_with_terratorch(network: nn.Module, scene: Path, output: Path) -> None:
    """Map a scene in memory by `tiled_inference` (https://ibm.github.io/terratorch/stable/guide/inference)."""
    from terratorch.tasks.tiled_inference import tiled_inference

    _map_whole(scene, output, lambda image: tiled_inference(network, image, crop=TILE, stride=STRIDE, batch_size=1))


def map_with_torchgeo(network: nn.Module, scene: Path, output: Path) -> None:
    """Map a scene by `GridGeoSampler` (https://docs.torchgeo.org/en/stable/api/samplers.html).

    TorchGeo's documentation leaves stitching to the user. This function writes the middle of each tile and leaves out
    half of the overlap on each side.
    """
    from torch.utils.data import DataLoader
    from torchgeo.datasets import RasterDataset, stack_samples
    from torchgeo.samplers import GridGeoSampler

    dataset = RasterDataset([scene])
    sampler = GridGeoSampler(dataset, size=TILE, stride=STRIDE)
    loader = DataLoader(dataset, batch_size=1, sampler=sampler, collate_fn=stack_samples)
    with rasterio.open(scene) as raster:
        profile, shape, into_pixels = _profile(raster), raster.shape, ~raster.transform
    with rasterio.open(output, "w", **profile) as written:
        for batch in loader:
            percent = _percent(network(batch["image"]))
            x, y, _ = batch["bounds"][0]
            left, top = into_pixels @ (x.start, y.stop)
            window, middle = _middle(round(top), round(left), shape)
            written.write(percent[middle], 1, window=window)


def _middle(top: int, left: int, shape: tuple[int, int]) -> tuple[Window, tuple[slice, slice]]:
    """The part of a tile to write, as a window of the scene and as rows and columns of the tile."""
    trimmed = (TILE - STRIDE) // 2
    spans = []
    for start, length in zip((top, left), shape, strict=True):
        first = 0 if start <= 0 else start + trimmed
        last = length if start + TILE >= length else start + TILE - trimmed
        spans.append((first, last - first, slice(first - start, last - start)))
    (row, height, rows), (column, width, columns) = spans
    return Window(column, row, width, height), (rows, columns)


def _map_whole(scene: Path, output: Path, infer: Callable[[Tensor], Tensor]) -> None:
    with rasterio.open(scene) as raster:
        image, profile = torch.from_numpy(raster.read(out_dtype="float32"))[None], _profile(raster)
    percent = _percent(infer(image))
    with rasterio.open(output, "w", **profile) as written:
        written.write(percent, 1)


def _profile(raster: rasterio.DatasetReader) -> dict[str, object]:
    return dict(raster.profile) | {"count": 1, "dtype": "uint8"}


def _percent(logits: Tensor) -> np.ndarray:
    percent: np.ndarray = (logits[0, 0].sigmoid() * 100).round().to(torch.uint8).numpy()
    return percent
