"""A classification network as backbone, its late strides turned into dilation."""

import difflib

import segmentation_models_pytorch as smp
from torch import Tensor, nn

from seg.errors import ConfigError
from seg.models.dilated import VARIANTS

OUTPUT_STRIDES = (8, 16)


class DilatedBackbone(nn.Module):
    """An smp encoder that stops shrinking at the output stride and dilates its later convolutions instead.

    Args:
        encoder: Name of an smp encoder, for example "resnet18"; any timm network as "tu-<name>".
        bands: Channels of the input image.
        output_stride: 8 or 16: how much smaller the deepest features are than the image.

    Raises:
        ConfigError: The encoder is unknown or cannot be dilated, or the output stride is not possible.
    """

    def __init__(self, encoder: str, bands: int, output_stride: int) -> None:
        super().__init__()
        _check_name(encoder)
        if output_stride not in OUTPUT_STRIDES:
            raise ConfigError(
                f"output_stride is {output_stride}; possible are {OUTPUT_STRIDES[0]} and {OUTPUT_STRIDES[1]}"
            )
        self.encoder, self.channels = _dilated_encoder(encoder, bands, output_stride)
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


def _dilated_encoder(encoder: str, bands: int, output_stride: int) -> tuple[nn.Module, tuple[int, ...]]:
    try:
        network = smp.encoders.get_encoder(
            encoder, in_channels=bands, depth=5, weights=None, output_stride=output_stride
        )
    except (ValueError, NotImplementedError, RuntimeError, TypeError, AssertionError) as error:
        raise ConfigError(
            f"encoder '{encoder}' cannot be built at output stride {output_stride} ({str(error) or 'unsupported'})"
            "; resnet18 and resnet50 can"
        ) from error
    channels = tuple(network.out_channels[1:])
    if 0 in channels:
        raise ConfigError(
            f"encoder '{encoder}' has no features at stride {2 ** (channels.index(0) + 1)}, which the decoder needs; "
            "resnet18 and resnet50 have them"
        )
    return network, channels


def _check_name(encoder: str) -> None:
    names = smp.encoders.encoders.keys()
    if encoder in names or encoder.startswith(("tu-", "timm-")):
        return
    near = difflib.get_close_matches(encoder, [*VARIANTS, *names], n=3)
    hint = f"near it are {', '.join(near)}" if near else "see the encoders of segmentation-models-pytorch"
    raise ConfigError(f"encoder '{encoder}' is unknown; {hint}")
