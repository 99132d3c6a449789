"""Run the raster engine, the forward pass alone, and plain copying, each in a new process.

This module does not import torch, so that memory is measured as in a deployment.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import rasterio

from seg.benchmark.timing import peak_memory_mib
from seg.inference.command import load_predictor
from seg.inference.compute.predictor import Predictor
from seg.inference.planning.plan import Plan
from seg.inference.scene import predict_scene
from seg.inference.settings import ComputeSettings, PredictionSettings
from seg.raster.writing.cog import LEVEL, TILE

FORWARD_SECONDS = 5.0
"""The forward pass is repeated for at least this number of seconds."""


@dataclass(frozen=True)
class EngineRun:
    """One run of the engine over a scene.

    Attributes:
        backend: Library, device and precision.
        seconds: Time for planning, reading, computing, writing and overviews, without loading the model.
        peak_mib: Peak memory of the process in MiB.
        blocks: Number of blocks.
        cut: Size and halo of the blocks as text.
        redundancy: Number of computed pixels divided by the number of pixels of the scene.
        shape: Rows and columns read for the largest block.
    """

    backend: str
    seconds: float
    peak_mib: float
    blocks: int
    cut: str
    redundancy: float
    shape: tuple[int, int]


def run_engine(
    model: Path, scenes: Sequence[Path], output: Path, settings: PredictionSettings, compute: ComputeSettings
) -> EngineRun:
    """Map scenes one after the other in this process, and measure the last scene.

    Args:
        model: Folder of a model package with its ONNX file.
        scenes: The rasters. Rasters before the last one warm up the libraries, as in a batch.
        output: The class map, which each scene overwrites.
        settings: Settings of the prediction.
        compute: Backend and threads.
    """
    *others, scene = scenes
    predictor = load_predictor([model], settings, compute)
    for other in others:
        predict_scene(other, output, predictor, settings, lambda *_: None)
    return time_scene(scene, output, predictor, settings)


def time_scene(scene: Path, output: Path, predictor: Predictor, settings: PredictionSettings) -> EngineRun:
    """Map a scene in this process, and measure it.

    Args:
        scene: The raster.
        output: The class map.
        predictor: The model.
        settings: Settings of the prediction.
    """
    plans: list[Plan] = []
    start = time.perf_counter()
    predict_scene(scene, output, predictor, settings, lambda plan, _: plans.append(plan))
    seconds = time.perf_counter() - start
    plan = plans[0]
    reads = [(int(block.read.height), int(block.read.width)) for block in plan.blocks]
    largest = max(reads, key=lambda shape: shape[0] * shape[1])
    found = len(plan.blocks), plan.block_size.text(plan.halo), plan.redundancy
    return EngineRun(predictor.members[0].backend.name, seconds, peak_memory_mib(), *found, largest)


def forward_speed(model: Path, shape: tuple[int, int], settings: PredictionSettings, compute: ComputeSettings) -> float:
    """Speed of the forward pass alone in megapixels per second, the median of several passes.

    Args:
        model: Folder of a model package.
        shape: Rows and columns of the image.
        settings: Settings of the prediction.
        compute: Backend and threads.
    """
    predictor = load_predictor([model], settings, compute)
    bands = len(predictor.packages[0].bands)
    image = np.random.default_rng(0).normal(2000, 500, (bands, *shape)).astype(np.float32)
    predictor.probability(image)
    times: list[float] = []
    while sum(times) < FORWARD_SECONDS or len(times) < 3:
        start = time.perf_counter()
        predictor.probability(image)
        times.append(time.perf_counter() - start)
    return shape[0] * shape[1] / median(times) / 1e6


def plain_copy(scene: Path, maps: list[Path], folder: Path) -> float:
    """Seconds to read every tile of a scene once and to write every tile of its maps once, in a plain loop.

    The copies are tiled files without overviews, deflated like the engine's maps. The content of the maps is read
    before the clock starts.

    Args:
        scene: The raster.
        maps: The engine's maps of the scene.
        folder: Folder for the copies.
    """
    contents = []
    for path in maps:
        with rasterio.open(path) as dataset:
            contents.append((dataset.read(1), dataset.profile))
    start = time.perf_counter()
    with rasterio.open(scene) as dataset:
        for _, window in dataset.block_windows(1):
            dataset.read(window=window)
    for number, (pixels, profile) in enumerate(contents):
        written = {"driver": "GTiff", "tiled": True, "blockxsize": TILE, "blockysize": TILE, "zlevel": LEVEL}
        with rasterio.open(folder / f"copy_{number}.tif", "w", **_kept(profile), **written) as dataset:
            for _, window in dataset.block_windows(1):
                rows, columns = window.toslices()
                dataset.write(pixels[rows, columns], 1, window=window)
    return time.perf_counter() - start


def _kept(profile: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: profile[key] for key in ("dtype", "count", "height", "width", "crs", "transform", "nodata", "compress")
    }
