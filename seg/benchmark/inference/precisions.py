"""The raster engine with PyTorch in each precision of a device, compared with the forward pass alone."""

import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import rasterio
import torch
from torch import Tensor, nn

from seg.benchmark.inference.engine import EngineRun, time_scene
from seg.benchmark.inference.packages import write_trained
from seg.benchmark.modes import (
    BFLOAT16,
    CHANNELS_LAST,
    CONTIGUOUS,
    FLOAT16,
    Mode,
    forward_pass,
    modes_on,
    synchronizer,
)
from seg.benchmark.reporting import describe_machine, use_threads
from seg.benchmark.settings import InferenceSettings
from seg.benchmark.subjects import BANDS, choose_models, write_scene
from seg.benchmark.timing import Candidate, Stopwatch, in_new_process, interleaved_medians
from seg.inference.command import load_predictor
from seg.inference.compute.torch_backend import usable_device
from seg.inference.settings import ComputeSettings, Precision, PredictionSettings
from seg.labels import IGNORE
from seg.package.read import load_model, read_package
from seg.terminal.progress import progress_bar
from seg.terminal.text import counted, number, text_table

WARM_SIDE = 1024
"""Side in pixels of the scene that is mapped before the clock starts."""

BATCHES = 1, 4
"""Numbers of images in a forward pass."""

COMPILED = CHANNELS_LAST, BFLOAT16
"""Modes in which the network is also compiled."""

PASSES = 5
"""Number of timings of a forward pass; the median is reported."""


@dataclass(frozen=True)
class PrecisionRow:
    """Results of the engine in one precision.

    Attributes:
        precision: "32", "bf16" or "16".
        runs: Runs of the engine.
        in_turn: Runs that wait for each block before the next block starts, so that nothing overlaps on the device.
        flips: Share of the pixels whose class differs from the map in 32 bits, 0 to 1; None for 32 bits.
    """

    precision: Precision
    runs: tuple[EngineRun, ...]
    in_turn: tuple[EngineRun, ...]
    flips: float | None = None


@dataclass(frozen=True)
class ForwardRow:
    """Speed of the forward pass alone, on images that lie on the device.

    Attributes:
        mode: Name of memory layout and precision.
        batch: Number of images in a pass.
        compiled: True if `torch.compile` has compiled the network.
        speed: Megapixels per second; None if the pass failed, for example for lack of memory.
    """

    mode: str
    batch: int
    compiled: bool
    speed: float | None


@dataclass(frozen=True)
class TorchReport:
    """Results of one run.

    Attributes:
        machine: Hardware and versions.
        megapixels: Size of the scene.
        rows: Results of the engine.
        forward: Results of the forward pass.
    """

    machine: str
    megapixels: float
    rows: tuple[PrecisionRow, ...]
    forward: tuple[ForwardRow, ...]

    def speed(self, runs: Sequence[EngineRun]) -> float:
        """Megapixels of the scene per second, the median of several runs."""
        return self.megapixels / median(run.seconds for run in runs)

    def bare(self, precision: str) -> float | None:
        """Megapixels per second of the pass that the engine computes: one image, not compiled."""
        device = self.rows[0].runs[0].backend.split()[1]
        wanted = mode_of(precision, device).name, 1, False
        return next((row.speed for row in self.forward if (row.mode, row.batch, row.compiled) == wanted), None)

    def of_bare(self, row: PrecisionRow) -> float | None:
        """Speed of the engine divided by the speed of the bare pass; pixels in halos count as computed pixels."""
        bare = self.bare(row.precision)
        return None if bare is None else self.speed(row.runs) * row.runs[0].redundancy / bare


def precisions_on(device: torch.device, wanted: Precision = "auto") -> tuple[Precision, ...]:
    """Precisions to measure on a device; 32 bits first, since other maps are compared with the map in 32 bits.

    Args:
        device: The device.
        wanted: Precision to compare with 32 bits; "auto" for all precisions of the device.
    """
    if device.type != "cuda" or wanted == "32":
        return ("32",)
    return ("32", "bf16", "16") if wanted == "auto" else ("32", wanted)


def mode_of(precision: str, device: str) -> Mode:
    """Mode of PyTorch in which the engine computes.

    Args:
        precision: "32", "bf16" or "16".
        device: Type of the device.
    """
    if precision == "32":
        return CHANNELS_LAST if device == "cuda" else CONTIGUOUS
    return BFLOAT16 if precision == "bf16" else FLOAT16


def measure_torch(settings: InferenceSettings) -> TorchReport:
    """Map a synthetic scene with PyTorch in all precisions of the device, and time the forward pass alone.

    Raises:
        ConfigError: The model is unknown, or the device is absent.
    """
    (config,) = choose_models([settings.model]).values()
    device = usable_device(settings.device)
    use_threads(settings.threads)
    precisions = precisions_on(device, settings.precision)
    with tempfile.TemporaryDirectory() as place, progress_bar("Inference", len(precisions) + 1) as bar:
        folder = Path(place)
        write_trained(folder / "model", config, device)
        for name, side in (("scene", settings.side), ("warm", min(WARM_SIDE, settings.side))):
            write_scene(folder / f"{name}.tif", folder / f"{name}_mask.tif", side)
        rows = []
        for precision in precisions:
            rows.append(in_new_process(run_precision, folder, settings, precision))
            bar.step()
        forward = in_new_process(time_forward, folder / "model", settings, rows[0].runs[0].shape)
        bar.step()
    return TorchReport(str(describe_machine(device)), settings.side**2 / 1e6, tuple(rows), tuple(forward))


def run_precision(folder: Path, settings: InferenceSettings, precision: Precision) -> PrecisionRow:
    """Map the scene in one precision, and compare the classes with those of the map in 32 bits.

    Args:
        folder: Folder with `model`, `scene.tif` and `warm.tif`; it gets a map for each precision.
        settings: Options of the benchmark.
        precision: The precision.
    """
    compute = ComputeSettings(backend="torch", device=settings.device, threads=settings.threads, precision=precision)
    prediction = PredictionSettings(block_size=settings.block_size, halo=settings.halo, memory=settings.memory)
    predictor = load_predictor([folder / "model"], prediction, compute)
    output = folder / f"map_{precision}.tif"
    time_scene(folder / "warm.tif", output, predictor, prediction)
    backend = predictor.members[0].backend
    ahead, runs, in_turn = backend.ahead, [], []
    for _ in range(settings.repeats):
        backend.ahead = 0
        in_turn.append(time_scene(folder / "scene.tif", output, predictor, prediction))
        backend.ahead = ahead
        runs.append(time_scene(folder / "scene.tif", output, predictor, prediction))
    flips = None if precision == "32" else class_flips(output, folder / "map_32.tif")
    return PrecisionRow(precision, tuple(runs), tuple(in_turn), flips)


def class_flips(one: Path, other: Path) -> float:
    """Share of the pixels with different classes in two maps, 0 to 1; pixels without a class do not count."""
    different = counted = 0
    with rasterio.open(one) as first, rasterio.open(other) as second:
        for _, window in first.block_windows(1):
            classes, others = first.read(1, window=window), second.read(1, window=window)
            valid = (classes != IGNORE) & (others != IGNORE)
            different += int(np.count_nonzero(valid & (classes != others)))
            counted += int(np.count_nonzero(valid))
    return different / max(counted, 1)


def time_forward(model: Path, settings: InferenceSettings, shape: tuple[int, int]) -> list[ForwardRow]:
    """Time the forward pass in all modes of the device, with several sizes of a batch, and compiled on CUDA.

    Args:
        model: Folder of the package.
        settings: Options of the benchmark.
        shape: Rows and columns of an image.
    """
    device = usable_device(settings.device)
    use_threads(settings.threads)
    network = load_model(model, read_package(model)).to(device)
    modes = modes_on(device)
    wanted = [(mode, batch, False) for batch in BATCHES for mode in modes]
    # Compiling takes half a minute for each mode.
    wanted += [(mode, 1, True) for mode in modes if mode in COMPILED and device.type == "cuda"]
    rows = []
    for mode, batch, compiled in wanted:
        image = torch.randn(batch, BANDS, *shape, device=device)
        try:
            speed = image[:, 0].numel() / _seconds(network, image, mode, compiled) / 1e6
        except (RuntimeError, ImportError) as error:  # Memory runs out, or no compiler is installed.
            reason = " ".join(str(error).split())[:120]
            print(f"note: {mode.name}, {counted(batch, 'image')}: {reason}", file=sys.stderr)
            speed = None
        rows.append(ForwardRow(mode.name, batch, compiled, speed))
    return rows


def _seconds(network: nn.Module, image: Tensor, mode: Mode, compiled: bool) -> float:
    layout = torch.channels_last if mode.channels_last else torch.contiguous_format
    network.to(memory_format=layout)
    computed: Callable[[Tensor], object] = torch.compile(network) if compiled else network
    candidate = Candidate(partial(forward_pass, computed, image.to(memory_format=layout), mode))
    return interleaved_medians({mode.name: candidate}, PASSES, Stopwatch(synchronizer(image.device)))[mode.name]


def torch_text(settings: InferenceSettings, report: TorchReport) -> str:
    """Report as text for the terminal."""
    run = report.rows[0].runs[0]
    title = (
        f"a scene of {settings.side}x{settings.side} pixels, 4 bands of uint16, deflate, to two maps with overviews; "
        f"{settings.model}, trained briefly; {run.blocks} blocks of {run.cut}, {run.redundancy:.2f} computed pixels "
        f"per pixel; medians of {settings.repeats}"
    )
    rows = [
        [
            row.precision,
            number(report.speed(row.runs)),
            number(report.speed(row.in_turn)),
            number(report.bare(row.precision)),
            number(report.of_bare(row)),
            "-" if row.flips is None else f"{100 * row.flips:.3f}",
        ]
        for row in report.rows
    ]
    head = [
        "precision",
        "engine, Mpx/s",
        "without overlap",
        "forward pass, Mpx/s",
        "engine / forward pass",
        "class flips (%)",
    ]
    passes = [[row.mode, str(row.batch), "yes" if row.compiled else "no", number(row.speed)] for row in report.forward]
    explained = (
        "forward pass: of one image on the device, not compiled; pixels in halos count as computed pixels in the ratio"
    )
    forward = text_table(["forward pass", "images", "compiled", "Mpx/s"], passes)
    return "\n\n".join([report.machine, title, text_table(head, rows), explained, forward])
