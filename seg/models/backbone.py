"""A classification network as backbone, its late strides turned into dilation."""

from torch import Tensor, nn

from seg.errors import ConfigError
from seg.models.encoders import make_encoder

OUTPUT_STRIDES = (8, 16, 32)


class DilatedBackbone(nn.Module):
    """An encoder that stops shrinking at the output stride and dilates its later convolutions instead.

    Args:
        encoder: Name of an smp encoder, for example "resnet18"; any timm network as "tu-<name>".
        bands: Channels of the input image.
        output_stride: 8, 16 or 32: how much smaller the deepest features are than the image.

    Raises:
        ConfigError: The encoder is unknown or cannot be dilated, or the output stride is not possible.
    """

    def __init__(self, encoder: str, bands: int, output_stride: int) -> None:
        super().__init__()
        if output_stride not in OUTPUT_STRIDES:
            raise ConfigError(
                f"model.model.output_stride is {output_stride}; possible with encoder {encoder} are "
                f"{', '.join(map(str, OUTPUT_STRIDES))}"
            )
        self.encoder, self.channels = make_encoder(encoder, bands, output_stride)
        if 0 in self.channels:
            raise ConfigError(
                f"model.model.encoder is '{encoder}', which has no features at stride "
                f"{2 ** (self.channels.index(0) + 1)}; the decoder needs them: resnet18 and resnet50 have them"
            )
        self.output_stride = output_stride
        strides = [min(2**step, output_stride) for step in range(1, len(self.channels) + 1)]
        self._skips = [level for level, stride in enumerate(strides) if stride < output_stride][::-1]
        self.skip_channels = tuple(self.channels[level] for level in self._skips)

    def forward(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The features of a (B, bands, H, W) image whose sides are multiples of the output stride.

        Returns:
            The deepest features (B, channels[-1], H / output_stride, W / output_stride), and those of each finer
            level from coarse to fine, (B, skip_channels[i], ...), each twice the size of the one before.
        """
        features: list[Tensor] = self.encoder(image)[1:]
        return features[-1], [features[level] for level in self._skips]
