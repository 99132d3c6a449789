"""The small dilated backbone of this project: residual blocks with hybrid dilation rates."""

from dataclasses import dataclass

from torch import Tensor, nn

from seg.errors import ConfigError
from seg.models.layers import LayerStyle, Norm


@dataclass(frozen=True)
class DilatedVariant:
    """One size of the backbone.

    Attributes:
        width: Channels after the first halving of the resolution; each further halving doubles the channels.
        rates: Dilation of each residual block on the deepest level. Rates such as 1, 2, 5 have no common factor, and no
            rate exceeds the receptive field of the previous blocks. Therefore the network uses every pixel of its
            receptive field and causes no grid pattern (hybrid dilation, Wang et al. 2018,
            https://doi.org/10.1109/WACV.2018.00163).
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
    """Residual backbone. Each level halves the resolution; the deepest level has dilated blocks.

    Args:
        variant: Width and dilation rates.
        bands: Channels of the input image.
        output_stride: Size of the image divided by the size of the deepest features: 2, 4, 8, 16 or 32.
        norm: Normalisation: "batch", "group" or "none".

    Raises:
        ConfigError: The output stride has another value.
    """

    def __init__(self, variant: DilatedVariant, bands: int, output_stride: int, norm: Norm = "batch") -> None:
        super().__init__()
        if output_stride not in OUTPUT_STRIDES:
            raise ConfigError(
                f"model.model.output_stride is {output_stride}; use one of {', '.join(map(str, OUTPUT_STRIDES))}"
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
        """Compute the deepest features and the features of each finer level, as in `DilatedBackbone.forward`."""
        features: list[Tensor] = []
        for level in self.levels:
            features.append(level(features[-1] if features else image))
        return self.dilated(features[-1]), features[-2::-1]


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with an identity shortcut.

    Args:
        channels: Channels of the (B, C, H, W) input and output.
        dilation: Rate of both convolutions.
        style: Normalisation of both convolutions.
    """

    def __init__(self, channels: int, dilation: int, style: LayerStyle) -> None:
        super().__init__()
        self.first = style.conv_norm_relu(channels, channels, dilation=dilation)
        self.second = nn.Sequential(style.conv(channels, channels, dilation=dilation), style.normalize(channels))
        self.activation = nn.ReLU(inplace=True)

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, C, H, W) features to the same shape."""
        out: Tensor = self.activation(self.second(self.first(features)) + features)
        return out
