"""Cost and time of several kinds of convolution at equal shapes, and the limits of the machine."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from seg.benchmark.convolutions.roofline import (
    COPY,
    MATMUL,
    Ceilings,
    Roof,
    ceiling_candidates,
    ceilings_from,
    matmul_like_convolutions,
)
from seg.benchmark.cost import NetworkCost, measure_cost
from seg.benchmark.modes import (
    CHANNELS_LAST,
    CONTIGUOUS,
    choose_device,
    forward_passes,
    modes_on,
    synchronizer,
)
from seg.benchmark.reporting import Machine, describe_machine, use_threads
from seg.benchmark.settings import MOST_GROUPS, ConvolutionSettings
from seg.benchmark.timing import Candidate, Stopwatch, interleaved_medians
from seg.models.layers import LayerStyle
from seg.terminal.progress import progress_bar

STANDARD, TRANSPOSED = "standard 3x3", "transposed 4x4"
SEPARABLE, DEPTHWISE, POINTWISE = "separable 3x3", "depthwise 3x3 alone", "pointwise 1x1 alone"

SHORTEST_TIMING = 0.05
"""Smallest duration of a timing in seconds: the time of the slowest convolution at the default shape. Fast convolutions
are repeated until this time has passed, so that other load on the machine affects all timings equally."""


@dataclass(frozen=True)
class ConvolutionRow:
    """Results for one kind of convolution.

    Attributes:
        name: Name of the kind.
        cost: Operations and bytes.
        seconds: Median time by mode.
        roof: Shortest possible time in float32 within the machine's limits.
        fewer_macs: MACs of the reference, divided by the MACs of this kind. The reference is the standard convolution,
            or the transposed convolution for transposed kinds.
        faster: Time of the reference, divided by the time of this kind, each in its faster float32 layout.
    """

    name: str
    cost: NetworkCost
    seconds: Mapping[str, float]
    roof: Roof
    fewer_macs: float
    faster: float

    @property
    def best_seconds(self) -> float:
        """Time in the faster of the float32 layouts."""
        return best_seconds(self.seconds)

    @property
    def macs_per_second(self) -> float:
        """MACs per second in the faster of the float32 layouts."""
        return self.cost.macs / self.best_seconds


@dataclass(frozen=True)
class ConvolutionReport:
    """Results of one run.

    Attributes:
        machine: Hardware and versions.
        settings: Options of the benchmark.
        ceilings: Limits of the machine.
        rows: Results by kind of convolution.
    """

    machine: Machine
    settings: ConvolutionSettings
    ceilings: Ceilings
    rows: tuple[ConvolutionRow, ...]

    def row(self, name: str) -> ConvolutionRow:
        """Results of a kind of convolution."""
        return next(row for row in self.rows if row.name == name)


def best_seconds(seconds: Mapping[str, float]) -> float:
    """The time in the faster of the float32 layouts."""
    return min(seconds[CONTIGUOUS.name], seconds[CHANNELS_LAST.name])


def kinds_of_convolutions(channels: int) -> dict[str, nn.Module]:
    """Convolutions to compare, all without bias and with equal numbers of input and output channels.

    Args:
        channels: A multiple of 32.
    """
    standard, separable = LayerStyle(), LayerStyle(convolution="separable")
    return {
        STANDARD: standard.conv(channels, channels),
        "dilated 3x3, rate 2": standard.conv(channels, channels, dilation=2),
        "dilated 3x3, rate 4": standard.conv(channels, channels, dilation=4),
        "grouped 3x3, 4 groups": LayerStyle(convolution="grouped", groups=4).conv(channels, channels),
        f"grouped 3x3, {MOST_GROUPS} groups": LayerStyle(convolution="grouped", groups=MOST_GROUPS).conv(
            channels, channels
        ),
        SEPARABLE: separable.conv(channels, channels),
        DEPTHWISE: separable.conv(channels, channels).get_submodule("0"),
        POINTWISE: standard.conv(channels, channels, kernel=1),
        TRANSPOSED: standard.upsample(channels, channels),
        "separable transposed 4x4": separable.upsample(channels, channels),
    }


def measure_convolutions(settings: ConvolutionSettings) -> ConvolutionReport:
    """Measure costs, times and ceilings, with interleaved timings.

    Raises:
        ConfigError: The device is absent.
    """
    device = choose_device(settings.device)
    use_threads(settings.threads)
    shape = (1, settings.channels, settings.size, settings.size)
    kinds = kinds_of_convolutions(settings.channels)
    costs = {name: measure_cost(module, shape) for name, module in kinds.items()}
    candidates: dict[tuple[str, str], Candidate] = {
        (name, mode): candidate
        for name, module in kinds.items()
        for mode, candidate in forward_passes(module, shape, device, modes_on(device)).items()
    }
    ceilings = {("", name): candidate for name, candidate in ceiling_candidates(device).items()}
    medians = _timed({**candidates, **ceilings}, settings.repeats, device)
    seconds = {name: {mode: medians[key, mode] for key, mode in candidates if key == name} for name in kinds}
    fastest = max(costs[name].macs / best_seconds(seconds[name]) for name in kinds)
    found = ceilings_from({name: medians["", name] for name in (MATMUL, COPY)}, device, fastest)
    rows = tuple(_row(name, costs, seconds, found) for name in kinds)
    return ConvolutionReport(describe_machine(device), settings, found, rows)


def _timed(
    candidates: Mapping[tuple[str, str], Candidate], repeats: int, device: torch.device
) -> dict[tuple[str, str], float]:
    stopwatch = Stopwatch(synchronizer(device), shortest=SHORTEST_TIMING)
    with (
        matmul_like_convolutions(device),
        progress_bar("timing convolutions", len(candidates) * (repeats + 1)) as bar,
    ):
        return interleaved_medians(candidates, repeats, stopwatch, bar.step)


def _row(
    name: str, costs: Mapping[str, NetworkCost], seconds: Mapping[str, Mapping[str, float]], ceilings: Ceilings
) -> ConvolutionRow:
    reference = TRANSPOSED if "transposed" in name else STANDARD
    return ConvolutionRow(
        name=name,
        cost=costs[name],
        seconds=seconds[name],
        roof=ceilings.roof(costs[name].layers),
        fewer_macs=costs[reference].macs / costs[name].macs,
        faster=best_seconds(seconds[reference]) / best_seconds(seconds[name]),
    )
