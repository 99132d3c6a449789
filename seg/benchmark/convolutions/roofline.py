"""Roofline model of a machine (Williams et al. 2009, https://doi.org/10.1145/1498765.1498785).

The time of a layer is at least the time to compute its operations, and at least the time to move its bytes.
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
"""Size of the copy in bytes, far more than caches hold."""


@dataclass(frozen=True)
class Roof:
    """Roofline of a sequence of layers.

    Attributes:
        seconds: Shortest possible time of the layers, one after the other.
        limits: Limit of each layer: "compute" or "memory".
    """

    seconds: float
    limits: tuple[str, ...]


@dataclass(frozen=True)
class Ceilings:
    """Computing and memory limits of a machine.

    Attributes:
        matmul_macs_per_second: Speed of a large matrix product.
        convolution_macs_per_second: Speed of the fastest convolution of the run; on some processors, libraries compute
            convolutions faster than matrix products.
        bytes_per_second: Speed of a large copy; read bytes and written bytes are counted.
    """

    matmul_macs_per_second: float
    convolution_macs_per_second: float
    bytes_per_second: float

    @property
    def macs_per_second(self) -> float:
        """Highest measured computing speed."""
        return max(self.matmul_macs_per_second, self.convolution_macs_per_second)

    @property
    def balance(self) -> float:
        """MACs per byte above which computing takes longer than moving bytes."""
        return self.macs_per_second / self.bytes_per_second

    def roof(self, layers: Iterable[Cost]) -> Roof:
        """Shortest time of layers, one after the other: the sum of max(MACs / peak, bytes / bandwidth)."""
        seconds, limits = 0.0, []
        for layer in layers:
            compute, memory = layer.macs / self.macs_per_second, layer.bytes_moved / self.bytes_per_second
            seconds += max(compute, memory)
            limits.append("compute" if compute >= memory else "memory")
        return Roof(seconds, tuple(limits))


def ceiling_candidates(device: torch.device) -> dict[str, Candidate]:
    """A large matrix product and a large copy, which are timed together with the convolutions."""
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
    """Ceilings from the times of `ceiling_candidates`.

    Args:
        seconds: Times by name of the candidate.
        device: Device of the measurement.
        convolution: MACs per second of the fastest convolution in the same run.
    """
    return Ceilings(
        matmul_macs_per_second=MATMUL_SIDE[device.type] ** 3 / seconds[MATMUL],
        convolution_macs_per_second=convolution,
        bytes_per_second=2 * COPY_BYTES[device.type] / seconds[COPY],
    )


@contextmanager
def matmul_like_convolutions(device: torch.device) -> Iterator[None]:
    """Compute matrix products on a GPU in TF32, the default of convolutions. In float32, products would be slower."""
    earlier = torch.get_float32_matmul_precision()
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(earlier)
