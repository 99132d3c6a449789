"""The fastest that a machine can be: whichever takes longer, computing or moving bytes.

The roofline model of Williams et al. (2009), https://doi.org/10.1145/1498765.1498785.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from seg.benchmark.cost import Cost
from seg.benchmark.timing import Candidate

MATMUL, COPY = "matmul", "copy"
MATMUL_SIDE = {"cpu": 1536, "cuda": 8192}
COPY_BYTES = {"cpu": 2**28, "cuda": 2**30}
"""Far beyond what caches hold."""


@dataclass(frozen=True)
class Roof:
    """What the roofline says of some layers.

    Attributes:
        seconds: The shortest time that they can take, one after the other.
        limits: What limits each: "compute" or "memory".
    """

    seconds: float
    limits: tuple[str, ...]


@dataclass(frozen=True)
class Ceilings:
    """The two limits of a machine.

    Attributes:
        matmul_macs_per_second: Of a large matrix product.
        convolution_macs_per_second: Of the best convolution of the run; libraries may convolve faster than they
            multiply matrices, as on processors of another maker.
        bytes_per_second: Of a large copy, read and written bytes together.
    """

    matmul_macs_per_second: float
    convolution_macs_per_second: float
    bytes_per_second: float

    @property
    def macs_per_second(self) -> float:
        """What the machine has shown that it can compute."""
        return max(self.matmul_macs_per_second, self.convolution_macs_per_second)

    @property
    def balance(self) -> float:
        """MACs for each byte moved from which on computing takes longer than moving."""
        return self.macs_per_second / self.bytes_per_second

    def roof(self, layers: Iterable[Cost]) -> Roof:
        """The shortest time for layers, one after the other: max(MACs / peak, bytes / bandwidth) for each."""
        seconds, limits = 0.0, []
        for layer in layers:
            compute, memory = layer.macs / self.macs_per_second, layer.bytes_moved / self.bytes_per_second
            seconds += max(compute, memory)
            limits.append("compute" if compute >= memory else "memory")
        return Roof(seconds, tuple(limits))


def ceiling_candidates(device: torch.device) -> dict[str, Candidate]:
    """A large matrix product and a large copy, to be timed beside what the ceilings are for."""
    side, values = MATMUL_SIDE[device.type], COPY_BYTES[device.type] // 4
    left, right = torch.randn(side, side, device=device), torch.randn(side, side, device=device)
    product, source = torch.empty_like(left), torch.zeros(values, device=device)
    target = torch.empty_like(source)

    def multiply() -> None:
        torch.mm(left, right, out=product)

    def copy() -> None:
        target.copy_(source)

    return {MATMUL: Candidate(multiply), COPY: Candidate(copy)}


def ceilings_from(seconds: Mapping[str, float], device: torch.device, convolution: float) -> Ceilings:
    """The ceilings that the times of `ceiling_candidates` come to.

    Args:
        seconds: Those times.
        device: Where they were taken.
        convolution: MACs a second of the best convolution beside them.
    """
    return Ceilings(
        matmul_macs_per_second=MATMUL_SIDE[device.type] ** 3 / seconds[MATMUL],
        convolution_macs_per_second=convolution,
        bytes_per_second=2 * COPY_BYTES[device.type] / seconds[COPY],
    )


@contextmanager
def matmul_like_convolutions(device: torch.device) -> Iterator[None]:
    """Let a GPU multiply matrices in TF32, as it convolves by default; without that the ceiling would be too low."""
    earlier = torch.get_float32_matmul_precision()
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(earlier)
