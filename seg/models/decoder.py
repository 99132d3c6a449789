"""Decoder of transposed convolutions with skip connections, from the deepest features to full resolution."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from seg.models.layers import LayerStyle


class DecoderStage(nn.Module):
    """Upsampling by a factor of 2, merged with a skip connection.

    Args:
        channels_in: Channels of the coarse input.
        channels_skip: Channels of the skip connection.
        channels_out: Channels of the output.
        style: Kind of convolution and normalisation.
    """

    def __init__(self, channels_in: int, channels_skip: int, channels_out: int, style: LayerStyle) -> None:
        super().__init__()
        self.upsample = style.upsample_norm_relu(channels_in, channels_out)
        self.skip = style.conv_norm_relu(channels_skip, channels_out, kernel=1)
        self.merge = style.conv_norm_relu(2 * channels_out, channels_out)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """Map (B, channels_in, H, W) and (B, channels_skip, 2H, 2W) to (B, channels_out, 2H, 2W)."""
        merged: Tensor = self.merge(torch.cat([self.upsample(coarse), self.skip(fine)], dim=1))
        return merged


class TransposedDecoder(nn.Module):
    """Decoder with one stage for each halving of the resolution in the backbone.

    Args:
        channels_in: Channels of the deepest features.
        channels_skips: Channels of the skip connections, from coarse to fine; the last skip connection is the image
            itself.
        widths: Channels of each stage's output, one for each skip connection.
        style: Kind of convolution and normalisation.
    """

    def __init__(
        self, channels_in: int, channels_skips: Sequence[int], widths: Sequence[int], style: LayerStyle = LayerStyle()
    ) -> None:
        super().__init__()
        inputs = [channels_in, *widths[:-1]]
        triples = zip(inputs, channels_skips, widths, strict=True)
        self.stages = nn.ModuleList(DecoderStage(*triple, style) for triple in triples)

    def forward(self, deepest: Tensor, skips: Sequence[Tensor]) -> Tensor:
        """Compute (B, widths[-1], H, W) features at the resolution of the last skip connection."""
        features = deepest
        for stage, skip in zip(self.stages, skips, strict=True):
            features = stage(features, skip)
        return features
