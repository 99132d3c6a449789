"""The project's own network: dilated backbone, atrous pyramid, transposed decoder, head."""

from typing import Protocol

from torch import Tensor, nn

from seg.models.decoder import TransposedDecoder
from seg.models.pyramid import AtrousPyramid


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
