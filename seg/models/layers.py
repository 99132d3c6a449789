"""Convolutions, upsampling and normalisation shared by all parts of the network."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from seg.errors import ConfigError

Convolution = Literal["standard", "separable", "grouped"]
Norm = Literal["batch", "group", "none"]

MOST_NORM_GROUPS = 8


@dataclass(frozen=True, kw_only=True)
class LayerStyle:
    """Kind of convolution and normalisation used to build layers.

    Attributes:
        convolution: "standard"; "separable", which means a depthwise convolution followed by a 1x1 convolution (Chollet
            2017, https://doi.org/10.1109/CVPR.2017.195); or "grouped". 1x1 convolutions are always standard.
        groups: Number of groups of a grouped convolution.
        norm: "batch", "group" (Wu and He 2018, https://doi.org/10.1007/978-3-030-01261-8_1) or "none". If "group",
            statistics of the whole window are used, so the receptive field is unbounded. If "none", convolutions have a
            bias.
    """

    convolution: Convolution = "standard"
    groups: int = 4
    norm: Norm = "batch"

    def conv(
        self, channels_in: int, channels_out: int, kernel: int = 3, stride: int = 1, dilation: int = 1
    ) -> nn.Module:
        """Convolution with "same" padding; only its stride changes height and width.

        Raises:
            ConfigError: The groups do not divide the channels.
        """
        bias, padding = self.norm == "none", dilation * (kernel // 2)
        if kernel == 1 or self.convolution == "standard":
            return nn.Conv2d(channels_in, channels_out, kernel, stride, padding, dilation, bias=bias)
        if self.convolution == "grouped":
            groups = self._groups_for(channels_in, channels_out)
            return nn.Conv2d(channels_in, channels_out, kernel, stride, padding, dilation, groups, bias=bias)
        return nn.Sequential(
            nn.Conv2d(channels_in, channels_in, kernel, stride, padding, dilation, channels_in, bias=False),
            nn.Conv2d(channels_in, channels_out, kernel_size=1, bias=bias),
        )

    def upsample(self, channels_in: int, channels_out: int) -> nn.Module:
        """Transposed convolution that doubles height and width.

        The kernel size 4 is a multiple of the stride 2, so the same number of input pixels contributes to each output
        pixel. The initial weights are those of a bilinear interpolation, multiplied by random factors. These choices
        prevent checkerboard artefacts (Odena et al. 2016, https://doi.org/10.23915/distill.00003).

        Raises:
            ConfigError: The groups do not divide the channels.
        """
        bias = self.norm == "none"
        if self.convolution == "separable":
            return nn.Sequential(
                _bilinear_start(_transposed(channels_in, channels_in, channels_in, bias=False)),
                nn.Conv2d(channels_in, channels_out, kernel_size=1, bias=bias),
            )
        groups = self._groups_for(channels_in, channels_out) if self.convolution == "grouped" else 1
        return _bilinear_start(_transposed(channels_in, channels_out, groups, bias))

    def normalize(self, channels: int) -> nn.Module:
        """Normalisation layer for the output of a convolution."""
        if self.norm == "batch":
            return nn.BatchNorm2d(channels)
        if self.norm == "group":
            return nn.GroupNorm(math.gcd(channels, MOST_NORM_GROUPS), channels)
        return nn.Identity()

    def conv_norm_relu(
        self, channels_in: int, channels_out: int, kernel: int = 3, stride: int = 1, dilation: int = 1
    ) -> nn.Sequential:
        """Convolution, normalisation and ReLU."""
        convolution = self.conv(channels_in, channels_out, kernel, stride, dilation)
        return nn.Sequential(convolution, self.normalize(channels_out), nn.ReLU(inplace=True))

    def upsample_norm_relu(self, channels_in: int, channels_out: int) -> nn.Sequential:
        """Transposed convolution, normalisation and ReLU: (B, channels_in, H, W) to (B, channels_out, 2H, 2W)."""
        convolution = self.upsample(channels_in, channels_out)
        return nn.Sequential(convolution, self.normalize(channels_out), nn.ReLU(inplace=True))

    def _groups_for(self, channels_in: int, channels_out: int) -> int:
        both = math.gcd(channels_in, channels_out)
        if both % self.groups:
            possible = ", ".join(str(groups) for groups in range(1, both + 1) if both % groups == 0)
            raise ConfigError(
                f"model.model.groups is {self.groups}, which does not divide a convolution of {channels_in} to "
                f"{channels_out} channels; use one of {possible}"
            )
        return self.groups


def bilinear_kernel() -> Tensor:
    """(4, 4) kernel with which a transposed convolution of stride 2 interpolates bilinearly."""
    slope = torch.tensor([0.25, 0.75, 0.75, 0.25])
    return torch.outer(slope, slope)


def _transposed(channels_in: int, channels_out: int, groups: int, bias: bool) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(channels_in, channels_out, kernel_size=4, stride=2, padding=1, groups=groups, bias=bias)


def _bilinear_start(convolution: nn.ConvTranspose2d) -> nn.ConvTranspose2d:
    """Initialise a transposed convolution as bilinear interpolation, with a random factor for each pair of channels.

    The factors of a depthwise convolution are 1.
    """
    depthwise = convolution.groups == convolution.in_channels == convolution.out_channels
    mix = torch.ones(convolution.weight.shape[:2])
    if not depthwise:
        # The weight has shape (in, out / groups); kaiming_normal_ expects the fan-in in the second dimension.
        nn.init.kaiming_normal_(mix.T, nonlinearity="relu", mode="fan_in")
        mix *= math.sqrt(convolution.groups)
    with torch.no_grad():
        convolution.weight.copy_(mix[:, :, None, None] * bilinear_kernel())
    return convolution
