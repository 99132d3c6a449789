"""Atrous pyramid on the deepest features: parallel convolutions with different dilation rates, and optional context."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seg.models.layers import LayerStyle

Context = Literal["none", "windowed", "global"]


class WindowedContext(nn.Module):
    """Mean over a window around each cell, then a 1x1 convolution; the receptive field is bounded.

    Args:
        channels_in: Channels of the (B, C, H, W) input.
        channels_out: Channels of the (B, C, H, W) output.
        window: Side of the window in cells, odd. Cells outside the map are not included in the mean.
        style: Normalisation of the convolution.
    """

    def __init__(self, channels_in: int, channels_out: int, window: int, style: LayerStyle) -> None:
        super().__init__()
        self.window = window
        self.mix = style.conv_norm_relu(channels_in, channels_out, kernel=1)

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, channels_in, H, W) to (B, channels_out, H, W)."""
        means = F.avg_pool2d(features, self.window, stride=1, padding=self.window // 2, count_include_pad=False)
        mixed: Tensor = self.mix(means)
        return mixed


class GlobalContext(nn.Module):
    """Mean over the whole map, copied to every cell as in DeepLab; the receptive field is unbounded.

    The probability of a pixel then depends on the tiling. The pooling is not followed by a normalisation, since
    BatchNorm cannot train on a single value per channel.

    Args:
        channels_in: Channels of the (B, C, H, W) input.
        channels_out: Channels of the (B, C, H, W) output.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.mix = nn.Sequential(nn.Conv2d(channels_in, channels_out, kernel_size=1), nn.ReLU(inplace=True))

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, channels_in, H, W) to (B, channels_out, H, W)."""
        mixed: Tensor = self.mix(features.mean(dim=(2, 3), keepdim=True))
        return mixed.expand(-1, -1, *features.shape[-2:])


class AtrousPyramid(nn.Module):
    """Parallel branches with different dilation rates, merged by a 1x1 convolution.

    Args:
        channels_in: Channels of the (B, C, H, W) input.
        channels_out: Channels of each branch and of the (B, C, H, W) output.
        rates: Dilation of each 3x3 branch.
        dropout: Share of channels dropped after merging, 0 to 1.
        bottleneck: Channels of a 1x1 convolution before the branches; None for no such convolution.
        context: Additional branch, "none", "windowed" or "global"; see `WindowedContext` and `GlobalContext`.
        context_window: Side of the window in cells if context is "windowed"; odd.
        style: Kind of convolution and normalisation.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        rates: Sequence[int],
        *,
        dropout: float = 0.0,
        bottleneck: int | None = None,
        context: Context = "none",
        context_window: int = 9,
        style: LayerStyle = LayerStyle(),
    ) -> None:
        super().__init__()
        width = bottleneck or channels_in
        self.narrow = style.conv_norm_relu(channels_in, width, kernel=1) if bottleneck else nn.Identity()
        self.branches = nn.ModuleList([style.conv_norm_relu(width, channels_out, kernel=1)])
        self.branches += [style.conv_norm_relu(width, channels_out, dilation=rate) for rate in rates]
        if context == "windowed":
            self.branches.append(WindowedContext(width, channels_out, context_window, style))
        elif context == "global":
            self.branches.append(GlobalContext(width, channels_out))
        self.merge = style.conv_norm_relu(channels_out * len(self.branches), channels_out, kernel=1)
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, channels_in, H, W) to (B, channels_out, H, W)."""
        narrow = self.narrow(features)
        merged: Tensor = self.merge(torch.cat([branch(narrow) for branch in self.branches], dim=1))
        dropped: Tensor = self.dropout(merged)
        return dropped
