"""The project's own small backbone: residual blocks whose dilation rates leave no holes."""

from dataclasses import dataclass

from torch import Tensor, nn

from seg.errors import ConfigError
from seg.models.layers import LayerStyle, Norm


@dataclass(frozen=True)
class DilatedVariant:
    """One size of the backbone.

    Attributes:
        width: Channels after the first halving; each further halving doubles them.
        rates: Dilation of each residual block on the deepest level. Rates like 1, 2, 5 share no common factor and
            each is at most the reach of those before, so that every pixel of the receptive field is used and no grid
            shows (hybrid dilation, Wang et al. 2018, https://doi.org/10.1109/WACV.2018.00163).
    """

    width: int
    rates: tuple[int, ...]


OUTPUT_STRIDES = (2, 4, 8, 16, 32)

VARIANTS = {
    "dilated_tiny": DilatedVariant(width=32, rates=(1, 2, 3)),
    "dilated_small": DilatedVariant(width=48, rates=(1, 2, 5)),
    "dilated_base": DilatedVariant(width=48, rates=(1, 2, 5, 1, 2, 5)),
}


class DilatedResNet(nn.Module):
    """A stride of 2 for each level, one residual block on it, and dilated blocks on the deepest.

    Args:
        variant: Its size.
        bands: Channels of the input image.
        output_stride: How much smaller the deepest features are than the image: 2, 4, 8, 16 or 32.
        norm: What normalises: "batch", "group" or "none".

    Raises:
        ConfigError: The output stride is another.
    """

    def __init__(self, variant: DilatedVariant, bands: int, output_stride: int, norm: Norm = "batch") -> None:
        super().__init__()
        if output_stride not in OUTPUT_STRIDES:
            raise ConfigError(
                f"model.model.output_stride is {output_stride}; possible here are {', '.join(map(str, OUTPUT_STRIDES))}"
            )
        self.output_stride = output_stride
        levels = output_stride.bit_length() - 1
        self.channels = tuple(variant.width * 2**level for level in range(levels))
        self.skip_channels = self.channels[-2::-1]
        inputs = (bands, *self.channels[:-1])
        style = LayerStyle(norm=norm)
        self.levels = nn.ModuleList(
            nn.Sequential(style.conv_norm_relu(before, after, stride=2), ResidualBlock(after, 1, style))
            for before, after in zip(inputs, self.channels, strict=True)
        )
        self.dilated = nn.Sequential(*[ResidualBlock(self.channels[-1], rate, style) for rate in variant.rates])

    def forward(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The deepest features and those of each finer level, from coarse to fine; see `DilatedBackbone`."""
        features: list[Tensor] = []
        for level in self.levels:
            features.append(level(features[-1] if features else image))
        return self.dilated(features[-1]), features[-2::-1]


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside the identity.

    Args:
        channels: Channels of the (B, C, H, W) input and output.
        dilation: Rate of both convolutions.
        style: How they are normalised.
    """

    def __init__(self, channels: int, dilation: int, style: LayerStyle) -> None:
        super().__init__()
        self.first = style.conv_norm_relu(channels, channels, dilation=dilation)
        self.second = nn.Sequential(style.conv(channels, channels, dilation=dilation), style.normalize(channels))
        self.activation = nn.ReLU(inplace=True)

    def forward(self, features: Tensor) -> Tensor:
        """The same shape as it was given."""
        out: Tensor = self.activation(self.second(self.first(features)) + features)
        return out
