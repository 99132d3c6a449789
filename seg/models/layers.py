"""The few layers the networks are made of."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def conv_norm_relu(
    channels_in: int, channels_out: int, kernel: int = 3, stride: int = 1, dilation: int = 1
) -> nn.Sequential:
    """A convolution that divides height and width by the stride alone, BatchNorm, ReLU."""
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel, stride, padding, dilation, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    )


def bilinear_kernel() -> Tensor:
    """The (4, 4) kernel with which a transposed convolution of stride 2 is bilinear interpolation."""
    slope = torch.tensor([0.25, 0.75, 0.75, 0.25])
    return torch.outer(slope, slope)


class TransposedUpsample(nn.Sequential):
    """Twice the height and width by a transposed convolution, BatchNorm, ReLU.

    The kernel of 4 is a multiple of the stride of 2, so every output pixel gets as many taps; the start is a random
    channel mix of bilinear interpolations. Both keep a checkerboard out (Odena et al. 2016,
    https://doi.org/10.23915/distill.00003).

    Args:
        channels_in: Channels of the (B, C, H, W) input.
        channels_out: Channels of the (B, C, 2H, 2W) output.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        convolution = nn.ConvTranspose2d(channels_in, channels_out, kernel_size=4, stride=2, padding=1, bias=False)
        mix = torch.empty(channels_out, channels_in)
        nn.init.kaiming_normal_(mix, nonlinearity="relu")
        with torch.no_grad():
            convolution.weight.copy_(mix.T[:, :, None, None] * bilinear_kernel())
        super().__init__(convolution, nn.BatchNorm2d(channels_out), nn.ReLU(inplace=True))


class AtrousPyramid(nn.Module):
    """Context at several dilation rates side by side, merged into one width.

    Unlike in DeepLab there is no branch of global pooling: its receptive field would be the whole window, and a
    pixel's probability would depend on how the scene was cut.

    Args:
        channels_in: Channels of the (B, C, H, W) input.
        channels_out: Channels of each branch and of the (B, C, H, W) output.
        rates: Dilation of each 3x3 branch.
        dropout: Share of channels dropped after merging, 0 to 1.
    """

    def __init__(self, channels_in: int, channels_out: int, rates: Sequence[int], dropout: float) -> None:
        super().__init__()
        self.branches = nn.ModuleList([conv_norm_relu(channels_in, channels_out, kernel=1)])
        self.branches += [conv_norm_relu(channels_in, channels_out, dilation=rate) for rate in rates]
        self.merge = conv_norm_relu(channels_out * len(self.branches), channels_out, kernel=1)
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, features: Tensor) -> Tensor:
        """(B, channels_in, H, W) to (B, channels_out, H, W)."""
        merged: Tensor = self.merge(torch.cat([branch(features) for branch in self.branches], dim=1))
        dropped: Tensor = self.dropout(merged)
        return dropped
