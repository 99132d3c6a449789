"""The networks that are compared."""

from collections.abc import Sequence

from seg.errors import ConfigError
from seg.models.config import ModelConfig

FAMILY = {
    "dilated_tiny_4": ModelConfig(  # the demo's
        encoder="dilated_tiny", output_stride=4, pyramid_channels=48, pyramid_rates=(1, 2), decoder_channels=(32, 32)
    ),
    "dilated_tiny_8": ModelConfig(
        encoder="dilated_tiny", output_stride=8, pyramid_channels=96, decoder_channels=(64, 32, 16)
    ),
    "dilated_small_4": ModelConfig(
        encoder="dilated_small", output_stride=4, pyramid_channels=64, pyramid_rates=(1, 2), decoder_channels=(48, 32)
    ),
    "dilated_small_8": ModelConfig(
        encoder="dilated_small", output_stride=8, pyramid_channels=96, decoder_channels=(64, 32, 16)
    ),
    "resnet18_8": ModelConfig(output_stride=8, decoder_channels=(96, 48, 16)),
    "resnet18_16": ModelConfig(),
    "resnet18_16_separable": ModelConfig(convolution="separable"),
    "resnet18_16_grouped": ModelConfig(convolution="grouped"),
    "unet_resnet18": ModelConfig(architecture="unet"),
    "deeplabv3plus_resnet18": ModelConfig(architecture="deeplabv3plus"),
    "fpn_resnet18": ModelConfig(architecture="fpn"),
    "upernet_resnet18": ModelConfig(architecture="upernet"),
    "segformer_mit_b0": ModelConfig(architecture="segformer", encoder="mit_b0"),
}
"""By name; the number behind an encoder of this project's own architecture is the output stride."""


def choose_models(names: Sequence[str] | str | None) -> dict[str, ModelConfig]:
    """Models of the family.

    Args:
        names: Which, as a list or with commas in between; None for all.

    Raises:
        ConfigError: A name is unknown, or there is none.
    """
    if names is None:
        return dict(FAMILY)
    chosen = [name.strip() for name in (names.split(",") if isinstance(names, str) else names)]
    unknown = [name for name in chosen if name not in FAMILY]
    if unknown or not chosen:
        found = f"has '{unknown[0]}'" if unknown else "is empty"
        raise ConfigError(f"models {found}; possible are {', '.join(FAMILY)}")
    return {name: FAMILY[name] for name in chosen}
