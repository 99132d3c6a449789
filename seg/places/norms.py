"""BatchNorm statistics of a new place, mixed with the statistics of training."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HALF = 0.5
"""A cell of a feature map is used if at least this share of its pixels is valid."""

Batches = Iterable[tuple[Tensor, Tensor]]
"""(B, C, H, W) images in stored units, each with its validity (B, H, W)."""


@dataclass(frozen=True)
class Movement:
    """Change of a norm's statistics.

    Attributes:
        layer: Dotted name of the norm.
        mean: Change of the mean, averaged over channels, in standard deviations of training.
        spread: New standard deviation divided by the standard deviation of training, averaged over channels.
    """

    layer: str
    mean: float
    spread: float


def tracking_norms(network: nn.Module) -> dict[str, nn.BatchNorm2d]:
    """BatchNorm layers with running statistics by dotted name, in the order of their definition."""
    return {
        name: layer
        for name, layer in network.named_modules()
        if isinstance(layer, nn.BatchNorm2d) and layer.running_mean is not None
    }


@torch.no_grad()
def mix_in(network: nn.Module, batches: Batches, mix: float) -> list[Movement]:
    """Replace the running statistics of every norm by (1 - mix) * training + mix * new place.

    The input of each norm is computed with mixed statistics in all preceding norms, as in inference. One pass over the
    pixels is enough, because each batch is normalised by its own statistics, mixed with those of training. Cells
    without data are not used.

    If the sample is small or not representative, statistics of the new place alone are unreliable; mixed statistics are
    more robust (Lim et al. 2023, https://arxiv.org/abs/2302.05155).

    Args:
        network: A network in evaluation mode; its norms are changed in place.
        batches: The sample; every batch has windows from all parts of the place.
        mix: Weight of the new place, 0 to 1.

    Returns:
        Differences between the statistics of the new place and of training, which do not depend on `mix`. The list is
        empty if no batch has a valid cell.
    """
    norms = {name: _Measured(norm, mix) for name, norm in tracking_norms(network).items()}
    with ExitStack() as hooks:
        for measured in norms.values():
            hooks.enter_context(measured.listening())
        for image, valid in batches:
            for measured in norms.values():
                measured.valid = valid
            network(image)
    return [measured.finish(name) for name, measured in norms.items() if measured.count]


class _Measured:
    """A norm, its statistics of training, and sums in float64 over the cells of the new place."""

    def __init__(self, norm: nn.BatchNorm2d, mix: float) -> None:
        if norm.running_mean is None or norm.running_var is None:
            raise ValueError("wanted a norm with running statistics")
        self.mean, self.variance = norm.running_mean, norm.running_var
        self.old_mean, self.old_variance = self.mean.double(), self.variance.double()
        self.norm, self.mix = norm, mix
        self.valid = torch.empty(0)
        self.count = 0.0
        self.sum = torch.zeros_like(self.old_mean)
        self.squares = torch.zeros_like(self.old_mean)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Measure the norm's input before each use of the norm."""

        def measure(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            self._measure(inputs[0])

        handle = self.norm.register_forward_pre_hook(measure)
        try:
            yield
        finally:
            handle.remove()

    def _measure(self, features: Tensor) -> None:
        cells = (
            F.adaptive_avg_pool2d(self.valid[:, None].float(), (features.shape[-2], features.shape[-1]))[:, 0] >= HALF
        )
        values = features.movedim(1, -1)[cells].double()
        if not len(values):
            self._write(self.old_mean, self.old_variance)
            return
        mean = values.mean(dim=0)
        variance = (values - mean).square().mean(dim=0)
        self.count += len(values)
        self.sum += len(values) * mean
        self.squares += len(values) * (variance + mean.square())
        self._write(mean, variance)

    def _write(self, mean: Tensor, variance: Tensor) -> None:
        self.mean.copy_(torch.lerp(self.old_mean, mean, self.mix))
        self.variance.copy_(torch.lerp(self.old_variance, variance, self.mix))

    def finish(self, name: str) -> Movement:
        """Write the mixed statistics of the whole sample, and return the change of the statistics."""
        mean = self.sum / self.count
        variance = (self.squares / self.count - mean.square()).clamp(min=0)
        self._write(mean, variance)
        deviation = (self.old_variance + self.norm.eps).sqrt()
        moved = ((mean - self.old_mean).abs() / deviation).mean()
        spread = ((variance + self.norm.eps).sqrt() / deviation).mean()
        return Movement(name, float(moved), float(spread))
