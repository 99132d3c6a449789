"""Configuration of a network; checkpoints and model packages store it as plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self, cast, get_args, get_origin, get_type_hints

from seg.errors import ConfigError
from seg.models.layers import Convolution, LayerStyle, Norm
from seg.models.pyramid import Context

Architecture = Literal["dilated", "unet", "deeplabv3plus", "segformer", "upernet", "fpn"]

Normalisation = Literal["dataset", "scene"]

MOST = 4096
"""Largest number of bands, channels, groups and pixels in a configuration. The weights of one 3x3 convolution with
4,096 input and output channels take 0.6 GB."""


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Architecture and widths of the network.

    Args:
        architecture: "dilated" is the network of this project. The other networks are for comparison and come from
            segmentation-models-pytorch. They use only the settings encoder, encoder_weights and boundary; deeplabv3plus
            also uses output_stride.
        encoder: Backbone: dilated_tiny, dilated_small or dilated_base of this project; an smp encoder; or a timm
            network as "tu-<name>". With architecture "dilated", an smp or timm encoder must support dilation and have
            features at stride 2.
        encoder_weights: Initial weights of the encoder: null for random weights, a .safetensors or .pth file, or the
            name of weights on the hub ("imagenet" for most encoders). Checkpoints do not store this value, since they
            hold all weights.
        output_stride: Size of the image divided by the size of the deepest features: 8, 16 or 32. With the encoders of
            this project, also 2 or 4.
        convolution: Kind of convolution in pyramid and decoder: standard, separable (depthwise, then 1x1) or grouped.
        groups: Number of groups of grouped convolutions; must divide the numbers of input and output channels.
        norm: Normalisation in pyramid, decoder and the encoders of this project: batch, group or none. If "group",
            statistics of the whole window are used, so maps depend on the tiling.
        pyramid_rates: Dilation rates of the atrous pyramid on the deepest features.
        pyramid_channels: Number of channels of the pyramid.
        pyramid_bottleneck: Number of channels of a 1x1 convolution before the pyramid; null for no such convolution.
        context: Additional branch of the pyramid: none; windowed, the mean over a fixed neighbourhood; or global, the
            mean over the whole window. If "global", maps depend on the tiling.
        context_window: For context "windowed": side of the neighbourhood in cells of the deepest features; odd.
        decoder_channels: Number of channels of each decoder stage, from coarse to fine. There is one stage for each
            halving of the resolution, for example 3 stages if output_stride is 8.
        dropout: Share of the pyramid's channels dropped in training, 0 to below 1.
        boundary: Add a second output for the edges between cropland and other; loss.boundary must then be above 0. If
            two parcels touch and no pixels of another class lie between them, the mask has no edge there.
        normalisation: Images whose mean and standard deviation normalise the bands. dataset: all training images
            together. scene: each scene alone, in training and in prediction; the model can then map scenes in other
            units, but it cannot use the brightness of a whole scene.

    Raises:
        ConfigError: A value is out of range.
    """

    architecture: Architecture = "dilated"
    encoder: str = "dilated_small"
    encoder_weights: str | None = None
    output_stride: int = 8
    convolution: Convolution = "standard"
    groups: int = 4
    norm: Norm = "batch"
    pyramid_rates: tuple[int, ...] = (1, 2)
    pyramid_channels: int = 96
    pyramid_bottleneck: int | None = None
    context: Context = "none"
    context_window: int = 9
    decoder_channels: tuple[int, ...] = (64, 32, 16)
    dropout: float = 0.1
    boundary: bool = False
    normalisation: Normalisation = "dataset"

    def __post_init__(self) -> None:
        for name, choices in (
            ("architecture", Architecture),
            ("convolution", Convolution),
            ("norm", Norm),
            ("context", Context),
            ("normalisation", Normalisation),
        ):
            if getattr(self, name) not in get_args(choices):
                raise ConfigError(
                    f"model.model.{name} is {getattr(self, name)!r}; use one of {', '.join(get_args(choices))}"
                )
        _check_counts("groups", [self.groups])
        _check_counts("pyramid_rates", self.pyramid_rates)
        _check_counts("pyramid_channels", [self.pyramid_channels])
        _check_counts("pyramid_bottleneck", [] if self.pyramid_bottleneck is None else [self.pyramid_bottleneck])
        _check_counts("decoder_channels", self.decoder_channels)
        if self.context_window < 3 or self.context_window % 2 == 0:
            raise ConfigError(f"model.model.context_window is {self.context_window}; wanted an odd number, 3 or more")
        _check_counts("context_window", [self.context_window])
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"model.model.dropout is {self.dropout}; wanted 0 to below 1")

    @property
    def style(self) -> LayerStyle:
        """Layer style of pyramid and decoder."""
        return LayerStyle(convolution=self.convolution, groups=self.groups, norm=self.norm)

    @property
    def heads(self) -> int:
        """Number of logits per pixel: 2 if the boundary is enabled, otherwise 1."""
        return 2 if self.boundary else 1

    def arguments(self) -> dict[str, object]:
        """The configuration as plain JSON values, without `encoder_weights`."""
        values = asdict(self) | {"encoder_weights": None}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}

    @classmethod
    def from_arguments(cls, arguments: Mapping[str, Any]) -> Self:
        """Configuration from plain JSON values that `arguments` returned.

        Raises:
            ConfigError: A name is unknown, or a value has a wrong type or range.
        """
        unknown = sorted(str(name) for name in arguments.keys() - {field.name for field in fields(cls)})
        if unknown:
            raise ConfigError(f"the model has no argument {', '.join(unknown)}; was its file made by a newer version?")
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in arguments.items()}
        hints = get_type_hints(cls)
        for name, value in values.items():
            if not has_type(value, hints[name]):
                raise ConfigError(
                    f"model.model.{name} is {value!r}; wanted {getattr(hints[name], '__name__', hints[name])}"
                )
        # Loading a package must never download weights, even if the package names weights on the hub.
        return cls(**(values | {"encoder_weights": None}))


def has_type(value: object, hint: object) -> bool:
    """True if a plain value has the type of a field."""
    kinds = get_args(hint)
    origin = get_origin(hint)
    if origin in (tuple, list):
        same = isinstance(value, tuple | list) and isinstance(value, cast("type", origin))
        return same and all(has_type(item, kinds[0]) for item in cast("Sequence[object]", value))
    if origin is Literal:
        return value in kinds
    if kinds:
        return any(has_type(value, kind) for kind in kinds)
    if isinstance(value, bool):
        return hint is bool
    return isinstance(value, (int, float) if hint is float else cast("type", hint))


def _check_counts(name: str, values: Sequence[int]) -> None:
    shown = f"model.model.{name} is {', '.join(map(str, values))}"
    if any(value < 1 for value in values):
        raise ConfigError(f"{shown}; wanted 1 or more")
    if any(value > MOST for value in values):
        raise ConfigError(f"{shown}; wanted at most {MOST}")
