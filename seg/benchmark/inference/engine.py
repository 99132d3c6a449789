"""The raster engine, and the limits that it is held against, each run in a process of its own.

No torch here: what is measured must be what a deployment runs, in its memory.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any, ParamSpec, TypeVar

import numpy as np
import rasterio

from seg.inference.command import load_predictor
from seg.inference.planning.plan import Plan
from seg.inference.scene import predict_scene
from seg.inference.settings import ComputeSettings, PredictionSettings
from seg.raster.writing.cog import LEVEL, TILE

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

FORWARD_SECONDS = 5.0
"""How long the bare forward pass is repeated, at least."""


@dataclass(frozen=True)
class EngineRun:
    """One run of the engine over a scene.

    Attributes:
        seconds: From the open model to the finished maps: planning, reading, computing, writing, overviews.
        peak_mib: The most that the process held, in MiB.
        blocks: How many blocks there were.
        block_size: Side of their cores in pixels.
        halo: Context around a core in pixels.
        redundancy: Pixels computed for each pixel of the scene.
        shape: Rows and columns that the largest block read.
    """

    seconds: float
    peak_mib: float
    blocks: int
    block_size: int
    halo: int
    redundancy: float
    shape: tuple[int, int]


def alone(function: Callable[Arguments, Result], *arguments: Arguments.args, **keywords: Arguments.kwargs) -> Result:
    """What a function of a module gives in a new process, which ends with it."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(function, *arguments, **keywords).result()


def run_engine(
    model: Path, scenes: Sequence[Path], output: Path, settings: PredictionSettings, compute: ComputeSettings
) -> EngineRun:
    """Map scenes one after the other, and say what the last one took in this process.

    Args:
        model: Folder of a model package with its ONNX file.
        scenes: The rasters; those before the last let the libraries set up what they set up once, as in a batch.
        output: The class map to write, of each in turn.
        settings: How they are predicted.
        compute: What computes.
    """
    predictor = load_predictor([model], settings, compute)
    plans: list[Plan] = []
    *others, scene = scenes
    for other in others:
        predict_scene(other, output, predictor, settings, lambda *_: None)
    start = time.perf_counter()
    predict_scene(scene, output, predictor, settings, lambda plan, _: plans.append(plan))
    seconds = time.perf_counter() - start
    plan = plans[0]
    reads = [(int(block.read.height), int(block.read.width)) for block in plan.blocks]
    largest = max(reads, key=lambda shape: shape[0] * shape[1])
    found = len(plan.blocks), plan.block_size, plan.halo, plan.redundancy
    return EngineRun(seconds, peak_memory_mib(), *found, largest)


def forward_speed(model: Path, shape: tuple[int, int], settings: PredictionSettings, compute: ComputeSettings) -> float:
    """Megapixels a second of the model alone, without reading or writing: the median of several passes.

    Args:
        model: Folder of a model package.
        shape: Rows and columns of the image.
        settings: Whether it is the interior that is predicted.
        compute: What computes.
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
    """Seconds to read every tile of a scene once, and to write every tile of its maps once, in a plain loop.

    The maps are deflated as the engine's are, into plain tiled files without overviews; what is written is read before
    the clock starts.

    Args:
        scene: The raster.
        maps: The engine's maps of it.
        folder: For the copies.
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


def peak_memory_mib() -> float:
    """The most memory that this process held, in MiB; as Linux says, of this program alone."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    fields = dict(line.split(":", 1) for line in status.splitlines())
    return int(fields["VmHWM"].split()[0]) / 1024
