"""Band normalisation as a part of the model, so that no caller can forget it."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class BandNormalization(nn.Module):
    """Subtract each band's mean and divide by its standard deviation, both kept as buffers in the checkpoint.

    Args:
        bands: Number of bands.
    """

    mean: Tensor
    std: Tensor
    filled: Tensor

    def __init__(self, bands: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(bands))
        self.register_buffer("std", torch.ones(bands))
        self.register_buffer("filled", torch.tensor(False))

    def fill(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Take over the training split's statistics, one value a band, in the images' stored units."""
        self.mean.copy_(torch.tensor(mean))
        self.std.copy_(torch.tensor(std))
        self.filled.fill_(True)

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) in stored units to the same shape with mean 0 and standard deviation 1."""
        return (image - self.mean[:, None, None]) / self.std[:, None, None]
