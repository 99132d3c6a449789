"""What every network of the family has in common: normalisation, and images of any size."""

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from seg.models.normalization import BandNormalization


class Heads(NamedTuple):
    """The outputs of a network, each (B, 1, H, W) logits.

    Attributes:
        cropland: Whether a pixel is cropland.
        boundary: Whether it lies on the edge of a parcel; None where the network has no such head.
    """

    cropland: Tensor
    boundary: Tensor | None

    def interior_probability(self) -> Tensor:
        """The (B, 1, H, W) probability of cropland that is not an edge: touching parcels fall apart in it."""
        if self.boundary is None:
            return self.cropland.sigmoid()
        return self.cropland.sigmoid() * (1 - self.boundary.sigmoid())


class Segmenter(nn.Module):
    """One logit a pixel at the size it was given.

    Args:
        normalization: Stored units to mean 0 and standard deviation 1.
        network: Normalised (B, C, H, W) images, multiples of the stride a side, to (B, 1 or 2, H, W) logits.
        stride: Pixels after which the network repeats itself.
        window_dependent: Whether a logit depends on the size of the image and its place in it by the way the network
            is built, as where it resizes features corner to corner.
    """

    def __init__(
        self, normalization: BandNormalization, network: nn.Module, stride: int, window_dependent: bool = False
    ) -> None:
        super().__init__()
        self.normalization = normalization
        self.network = network
        self.stride = stride
        self.window_dependent = window_dependent

    def forward(self, image: Tensor) -> Tensor:
        """Cropland logits of an image.

        Args:
            image: (B, C, H, W) float32 in stored units, any H, W >= 1.

        Returns:
            (B, 1, H, W) logits.
        """
        return self.heads(image).cropland

    def heads(self, image: Tensor) -> Heads:
        """The logits of every head for an image as `forward` wants it."""
        height, width = image.shape[-2:]
        padded = _pad_to_stride(self.normalization(image), self.stride)
        logits: Tensor = self.network(padded)
        # Cut off by a pad of less than nothing: torch.export takes a slice for a promise about the size.
        logits = F.pad(logits, (0, width - logits.shape[-1], 0, height - logits.shape[-2]))
        return Heads(logits[:, :1], logits[:, 1:] if logits.shape[1] > 1 else None)


def _pad_to_stride(image: Tensor, stride: int) -> Tensor:
    """The normalised image with zeros, the band means, added at the bottom and the right.

    At least two steps of the stride a side: BatchNorm cannot train on a single value a channel.
    """
    height, width = image.shape[-2:]
    # Rounded up by positive numbers only: ONNX rounds the quotient of a negative one towards 0.
    bottom = max((height + stride - 1) // stride, 2) * stride - height
    right = max((width + stride - 1) // stride, 2) * stride - width
    return F.pad(image, (0, right, 0, bottom))
