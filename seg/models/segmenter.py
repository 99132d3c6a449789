"""The whole network: normalisation, backbone, pyramid, decoder, head, for images of any size."""

from typing import Protocol

import torch.nn.functional as F
from torch import Tensor, nn

from seg.models.decoder import TransposedDecoder
from seg.models.layers import AtrousPyramid
from seg.models.normalization import BandNormalization


class Backbone(Protocol):
    """What the segmenter wants of a backbone.

    Attributes:
        output_stride: How much smaller its deepest features are than the image.
    """

    output_stride: int

    def __call__(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The deepest features, and those of each finer level from coarse to fine."""


class Segmenter(nn.Module):
    """One logit a pixel at the size it was given.

    Args:
        normalization: Stored units to mean 0 and standard deviation 1.
        backbone: Features from shallow to deep.
        pyramid: Context on the deepest features.
        decoder: Back to full resolution.
        head: Features to one logit.
    """

    def __init__(
        self,
        normalization: BandNormalization,
        backbone: Backbone,
        pyramid: AtrousPyramid,
        decoder: TransposedDecoder,
        head: nn.Module,
    ) -> None:
        super().__init__()
        self.normalization = normalization
        self.backbone = backbone
        self.pyramid = pyramid
        self.decoder = decoder
        self.head = head
        self.stride = backbone.output_stride

    def forward(self, image: Tensor) -> Tensor:
        """Logits of an image.

        Args:
            image: (B, C, H, W) float32 in stored units, any H, W >= 1.

        Returns:
            (B, 1, H, W) logits.
        """
        height, width = image.shape[-2:]
        padded = _pad_to_stride(self.normalization(image), self.stride)
        deepest, finer = self.backbone(padded)
        features = self.decoder(self.pyramid(deepest), [*finer, padded])
        logits: Tensor = self.head(features)
        return logits[..., :height, :width]


def _pad_to_stride(image: Tensor, stride: int) -> Tensor:
    """The normalised image with zeros, the band means, added at the bottom and the right.

    At least two steps of the stride a side: BatchNorm cannot train on a single value a channel.
    """
    height, width = image.shape[-2:]
    bottom = max(-(-height // stride), 2) * stride - height
    right = max(-(-width // stride), 2) * stride - width
    return F.pad(image, (0, right, 0, bottom))
