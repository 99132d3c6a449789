"""What every network of the family has in common: normalisation, and images of any size."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seg.models.decoder import TransposedDecoder
from seg.models.pyramid import AtrousPyramid


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


class Backbone(Protocol):
    """What the network wants of a backbone.

    Attributes:
        output_stride: How much smaller its deepest features are than the image.
    """

    output_stride: int

    def __call__(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The deepest features, and those of each finer level from coarse to fine."""


class DilatedNetwork(nn.Module):
    """Logits at full resolution.

    Args:
        backbone: Features from shallow to deep.
        pyramid: Context on the deepest features.
        decoder: Back to full resolution; its last skip is the image itself.
        head: Features to logits.
    """

    def __init__(self, backbone: Backbone, pyramid: AtrousPyramid, decoder: TransposedDecoder, head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.pyramid = pyramid
        self.decoder = decoder
        self.head = head

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W), a multiple of the backbone's output stride a side, to (B, heads, H, W) logits."""
        deepest, finer = self.backbone(image)
        logits: Tensor = self.head(self.decoder(self.pyramid(deepest), [*finer, image]))
        return logits
