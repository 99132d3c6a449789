"""From a configuration to a network."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from torch import nn

from seg.errors import ConfigError
from seg.models.backbone import DilatedBackbone
from seg.models.decoder import TransposedDecoder
from seg.models.dilated import VARIANTS, DilatedResNet
from seg.models.layers import AtrousPyramid
from seg.models.normalization import BandNormalization
from seg.models.segmenter import Segmenter


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """What the network is made of.

    Args:
        encoder: Backbone: name of an smp encoder, or of a timm network as "tu-<name>"; or this project's own small
            dilated_tiny and dilated_small.
        output_stride: How much smaller the deepest features are than the image: 8 or 16; for this project's own
            networks 2 or 4 as well.
        pyramid_rates: Dilation rates of the atrous pyramid on the deepest features.
        pyramid_channels: Width of the pyramid.
        decoder_channels: Width of each decoder stage, from coarse to fine; as many as the output stride has halvings.
        dropout: Share of the pyramid's channels dropped in training, 0 to below 1.

    Raises:
        ConfigError: A number is out of range.
    """

    encoder: str = "resnet18"
    output_stride: int = 16
    pyramid_rates: tuple[int, ...] = (1, 2, 4)
    pyramid_channels: int = 128
    decoder_channels: tuple[int, ...] = (96, 64, 32, 16)
    dropout: float = 0.1

    def __post_init__(self) -> None:
        _check_counts("pyramid_rates", self.pyramid_rates)
        _check_counts("pyramid_channels", [self.pyramid_channels])
        _check_counts("decoder_channels", self.decoder_channels)
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"model.model.dropout is {self.dropout}; wanted 0 to below 1")

    def arguments(self) -> dict[str, object]:
        """The configuration as plain JSON values, for checkpoints and model packages."""
        values = asdict(self)
        return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}

    @classmethod
    def from_arguments(cls, arguments: Mapping[str, Any]) -> Self:
        """The configuration of plain JSON values, as `arguments` gives them.

        Raises:
            ConfigError: A name is unknown.
        """
        unknown = sorted(arguments.keys() - {field.name for field in fields(cls)})
        if unknown:
            raise ConfigError(f"the model has no argument {', '.join(unknown)}; was it made by a newer version?")
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in arguments.items()}
        return cls(**values)


def build_model(config: ModelConfig, bands: int) -> Segmenter:
    """The network of a configuration, with random weights.

    Args:
        config: What it is made of.
        bands: Channels of the input image, at least 1.

    Raises:
        ConfigError: An argument cannot work; the message names it and what is possible.
    """
    if bands < 1:
        raise ConfigError(f"bands is {bands}; wanted at least 1")
    backbone = _build_backbone(config, bands)
    skips = backbone.skip_channels
    if len(config.decoder_channels) != len(skips) + 1:
        raise ConfigError(
            f"decoder_channels has {len(config.decoder_channels)} widths ({list(config.decoder_channels)}), "
            f"but an output stride of {config.output_stride} needs {len(skips) + 1}, one for each halving"
        )
    pyramid = AtrousPyramid(backbone.channels[-1], config.pyramid_channels, config.pyramid_rates, config.dropout)
    decoder = TransposedDecoder(config.pyramid_channels, [*skips, bands], config.decoder_channels)
    head = nn.Conv2d(config.decoder_channels[-1], 1, kernel_size=1)
    return Segmenter(BandNormalization(bands), backbone, pyramid, decoder, head)


def _check_counts(name: str, values: Sequence[int]) -> None:
    if any(value < 1 for value in values):
        raise ConfigError(f"model.model.{name} is {', '.join(map(str, values))}; wanted 1 or more")


def _build_backbone(config: ModelConfig, bands: int) -> DilatedResNet | DilatedBackbone:
    if config.encoder in VARIANTS:
        return DilatedResNet(VARIANTS[config.encoder], bands, config.output_stride)
    return DilatedBackbone(config.encoder, bands, config.output_stride)
