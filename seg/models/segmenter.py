"""Segmentation network for images of any size: band normalisation, backbone, pyramid, decoder, heads."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seg.models.decoder import TransposedDecoder
from seg.models.pyramid import AtrousPyramid


class BandNormalization(nn.Module):
    """Normalisation of each band by mean and standard deviation, which checkpoints store as buffers.

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
        """Set mean and standard deviation of the training split, one value per band, in stored units."""
        self.mean.copy_(torch.tensor(mean))
        self.std.copy_(torch.tensor(std))
        self.filled.fill_(True)

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, C, H, W) in stored units to the same shape with mean 0 and standard deviation 1."""
        return (image - self.mean[:, None, None]) / self.std[:, None, None]


class Heads(NamedTuple):
    """Outputs of a network; each output has (B, 1, H, W) logits.

    Attributes:
        cropland: Logits of cropland.
        boundary: Logits of parcel edges; None if the network has no boundary head.
    """

    cropland: Tensor
    boundary: Tensor | None

    def interior_probability(self) -> Tensor:
        """Probability (B, 1, H, W) that a pixel is cropland and not on an edge; low between touching parcels."""
        if self.boundary is None:
            return self.cropland.sigmoid()
        return self.cropland.sigmoid() * (1 - self.boundary.sigmoid())


class Segmenter(nn.Module):
    """Segmentation network with one logit per pixel, at the size of the input.

    Args:
        normalization: Maps stored units to mean 0 and standard deviation 1.
        network: Maps normalised (B, C, H, W) images, whose sides are multiples of the stride, to (B, 1 or 2, H, W)
            logits.
        stride: Shift in pixels under which the network is equivariant.
        window_dependent: True if logits depend on the size of the image or on the position in the image, for example if
            the network resizes features with aligned corners.
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
        """Compute cropland logits.

        Args:
            image: (B, C, H, W) float32 in stored units, any H, W >= 1.

        Returns:
            (B, 1, H, W) logits.
        """
        return self.heads(image).cropland

    def heads(self, image: Tensor) -> Heads:
        """Compute the logits of every head; the argument is as for `forward`."""
        return _cropped(self.network(self._padded(image)), image)

    @property
    def has_features(self) -> bool:
        """True if the network has an encoder and can therefore return the deepest features."""
        return isinstance(self.network, DilatedNetwork) or hasattr(self.network, "encoder")

    def features(self, image: Tensor) -> Tensor:
        """Deepest features of an image: the output of the pyramid or, in other architectures, of the encoder.

        Args:
            image: As for `forward`; the network must have features (`has_features`).

        Returns:
            (B, F, H / s, W / s) features, sizes rounded up, where s is the output stride.
        """
        deepest, _ = _encoded(self.network, self._padded(image))
        return _cells_within(deepest, image, self.stride)

    def heads_and_features(self, image: Tensor) -> tuple[Heads, Tensor]:
        """Logits of every head, and the deepest features, from one pass through the encoder; see `features`."""
        deepest, decode = _encoded(self.network, self._padded(image))
        return _cropped(decode(), image), _cells_within(deepest, image, self.stride)

    def _padded(self, image: Tensor) -> Tensor:
        return _pad_to_stride(self.normalization(image), self.stride)


def _cropped(logits: Tensor, image: Tensor) -> Heads:
    # Crop by negative padding, because torch.export would turn a slice into a constraint on the size.
    logits = F.pad(logits, (0, image.shape[-1] - logits.shape[-1], 0, image.shape[-2] - logits.shape[-2]))
    return Heads(logits[:, :1], logits[:, 1:] if logits.shape[1] > 1 else None)


def _cells_within(features: Tensor, image: Tensor, stride: int) -> Tensor:
    """Drop the cells of the padding that extends small images to two strides."""
    rows, columns = ((length + stride - 1) // stride for length in image.shape[-2:])
    return F.pad(features, (0, columns - features.shape[-1], 0, rows - features.shape[-2]))


def _encoded(network: nn.Module, image: Tensor) -> tuple[Tensor, Callable[[], Tensor]]:
    """Deepest features of a network, and a function that decodes them into logits."""
    if isinstance(network, DilatedNetwork):
        backbone, finer = network.backbone(image)
        deepest: Tensor = network.pyramid(backbone)
        return deepest, lambda: cast("Tensor", network.head(network.decoder(deepest, [*finer, image])))
    encoder, decoder, head = (network.get_submodule(name) for name in ("encoder", "decoder", "segmentation_head"))
    levels: list[Tensor] = encoder(image)
    return levels[-1], lambda: cast("Tensor", head(decoder(levels)))


def _pad_to_stride(image: Tensor, stride: int) -> Tensor:
    """Pad a normalised image at the bottom and right with zeros, the band means, to multiples of the stride.

    Each side has at least two strides, since BatchNorm cannot train on a single value per channel.
    """
    height, width = image.shape[-2:]
    # The division uses positive numbers only, since ONNX rounds negative quotients towards 0.
    bottom = max((height + stride - 1) // stride, 2) * stride - height
    right = max((width + stride - 1) // stride, 2) * stride - width
    return F.pad(image, (0, right, 0, bottom))


class Backbone(Protocol):
    """Backbone of the dilated network.

    Attributes:
        output_stride: Size of the image divided by the size of the deepest features.
    """

    output_stride: int

    def __call__(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Compute the deepest features, and the features of each finer level from coarse to fine."""


class DilatedNetwork(nn.Module):
    """Network of this project: dilated backbone, atrous pyramid, transposed-convolution decoder, 1x1 head.

    Args:
        backbone: Computes features from shallow to deep.
        pyramid: Adds context to the deepest features.
        decoder: Restores full resolution; the last skip connection is the image itself.
        head: Maps features to logits.
    """

    def __init__(self, backbone: Backbone, pyramid: AtrousPyramid, decoder: TransposedDecoder, head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.pyramid = pyramid
        self.decoder = decoder
        self.head = head

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, C, H, W) images, whose sides are multiples of the output stride, to (B, heads, H, W) logits."""
        _, decode = _encoded(self, image)
        return decode()
