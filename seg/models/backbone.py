"""Backbones made from classification networks of smp and timm; dilation replaces their last strides."""

import difflib

import segmentation_models_pytorch as smp
import timm
from torch import Tensor, nn

from seg.errors import ConfigError
from seg.models.dilated import VARIANTS

TIMM = "tu-"
BUILD_ERRORS = (ValueError, NotImplementedError, RuntimeError, TypeError, AssertionError, KeyError)
"""Exceptions that smp and timm raise for a network that cannot be built."""


def make_encoder(encoder: str, bands: int, output_stride: int) -> tuple[nn.Module, tuple[int, ...]]:
    """Build an encoder with five feature levels and random weights; return it and the channels of each level.

    Args:
        encoder: Name of an smp encoder, or any timm network as "tu-<name>".
        bands: Channels of the input image.
        output_stride: Size of the image divided by the size of the deepest features: 8, 16 or 32.

    Raises:
        ConfigError: The encoder is unknown or cannot be built with this output stride.
    """
    check_encoder(encoder)
    try:
        network = smp.encoders.get_encoder(
            encoder, in_channels=bands, depth=5, weights=None, output_stride=output_stride
        )
    except BUILD_ERRORS as error:
        raise ConfigError(
            f"model.model.encoder is '{encoder}', which cannot be built at output stride {output_stride} "
            f"({str(error) or 'unsupported'}); use dilated_small, resnet18 or resnet50"
        ) from error
    return network, tuple(network.out_channels[1:])


def check_encoder(encoder: str, own: bool = False) -> None:
    """Accept only names of smp encoders, and names of timm networks with the prefix "tu-".

    Names such as "tu-hf-hub:..." are rejected too, since building a network must not contact a hub.

    Args:
        encoder: The name.
        own: True to accept this project's own encoders too.

    Raises:
        ConfigError: The name is unknown; the message lists similar names.
    """
    if encoder in VARIANTS and not own:
        raise ConfigError(
            f"model.model.encoder is '{encoder}', which works only with architecture dilated; use resnet18 or resnet50"
        )
    names = [*(VARIANTS if own else ()), *smp.encoders.encoders]
    if encoder in names or (encoder.startswith(TIMM) and timm.is_model(encoder.removeprefix(TIMM))):
        return
    if encoder.startswith(TIMM):
        names = [TIMM + name for name in timm.list_models()]
    near = difflib.get_close_matches(encoder, names, n=3)
    hint = f"similar names: {', '.join(near)}" if near else "see the encoders of segmentation-models-pytorch"
    raise ConfigError(f"model.model.encoder is '{encoder}', an unknown name; {hint}")


OUTPUT_STRIDES = (8, 16, 32)


class DilatedBackbone(nn.Module):
    """Encoder whose stages keep the resolution and use dilated convolutions once the output stride is reached.

    Args:
        encoder: Name of an smp encoder, for example "resnet18", or any timm network as "tu-<name>".
        bands: Channels of the input image.
        output_stride: Size of the image divided by the size of the deepest features: 8, 16 or 32.

    Raises:
        ConfigError: The encoder is unknown, does not support dilation, or does not have this output stride.
    """

    def __init__(self, encoder: str, bands: int, output_stride: int) -> None:
        super().__init__()
        if output_stride not in OUTPUT_STRIDES:
            raise ConfigError(
                f"model.model.output_stride is {output_stride}, which encoder {encoder} does not support; use one of "
                f"{', '.join(map(str, OUTPUT_STRIDES))}"
            )
        self.encoder, self.channels = make_encoder(encoder, bands, output_stride)
        if 0 in self.channels:
            raise ConfigError(
                f"model.model.encoder is '{encoder}', which has no features at stride "
                f"{2 ** (self.channels.index(0) + 1)}, but the decoder needs them; use resnet18 or resnet50"
            )
        self.output_stride = output_stride
        strides = [min(2**step, output_stride) for step in range(1, len(self.channels) + 1)]
        self._skips = [level for level, stride in enumerate(strides) if stride < output_stride][::-1]
        self.skip_channels = tuple(self.channels[level] for level in self._skips)

    def forward(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Compute the features of a (B, bands, H, W) image whose sides are multiples of the output stride.

        Returns:
            The deepest features (B, channels[-1], H / output_stride, W / output_stride), and the features of the finer
            levels from coarse to fine, (B, skip_channels[i], ...). Each level is twice the size of the previous level.
        """
        features: list[Tensor] = self.encoder(image)[1:]
        return features[-1], [features[level] for level in self._skips]
