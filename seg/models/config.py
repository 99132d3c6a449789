"""What a network is made of, as plain values that a checkpoint and a model package keep."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self, get_args

from seg.errors import ConfigError
from seg.models.layers import Convolution, LayerStyle, Norm
from seg.models.pyramid import Context

Architecture = Literal["dilated", "unet", "deeplabv3plus", "segformer", "upernet", "fpn"]


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """What the network is made of.

    Args:
        architecture: "dilated" is this project's own. The others are smp's as they come, to compare with: of what
            follows they use encoder, encoder_weights and boundary alone, deeplabv3plus the output_stride too.
        encoder: Backbone: this project's own small dilated_tiny, dilated_small and dilated_base; or the name of an smp
            encoder, or of a timm network as "tu-<name>", that can be dilated and has features at a stride of 2.
        encoder_weights: Where the encoder's weights start: null at random; a .safetensors or .pth file; or the name
            that the hub has for them, "imagenet" for most. Not kept in checkpoints, which have weights of their own.
        output_stride: How much smaller the deepest features are than the image: 8, 16 or 32; for this project's own
            encoders 2 or 4 as well.
        convolution: How pyramid and decoder convolve: standard, separable (each channel by itself, then a mix of
            channels) or grouped.
        groups: Groups of the grouped convolutions; divides all widths that they connect.
        norm: What normalises pyramid, decoder and this project's own encoders: batch, group or none. The statistics of
            "group" are the whole window's, so that a map depends on how the scene is cut.
        pyramid_rates: Dilation rates of the atrous pyramid on the deepest features.
        pyramid_channels: Width of the pyramid.
        pyramid_bottleneck: Width to which the deepest features are brought before the pyramid; null leaves it out.
        context: Pooled context beside the pyramid's rates: none, windowed (a mean around each place), or global (the
            mean of the whole window; a map then depends on how the scene is cut).
        context_window: Side of the window of "windowed" in cells of the deepest features; odd.
        decoder_channels: Width of each decoder stage, from coarse to fine; as many as the output stride has halvings.
        dropout: Share of the pyramid's channels dropped in training, 0 to below 1.
        boundary: Whether a second output learns the edges between cropland and other; needs a weight, loss.boundary.
            Parcels that touch without a pixel of another class between them have no edge in a mask.

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

    def __post_init__(self) -> None:
        for name, choices in (
            ("architecture", Architecture),
            ("convolution", Convolution),
            ("norm", Norm),
            ("context", Context),
        ):
            if getattr(self, name) not in get_args(choices):
                raise ConfigError(
                    f"model.model.{name} is {getattr(self, name)!r}; possible are {', '.join(get_args(choices))}"
                )
        _check_counts("groups", [self.groups])
        _check_counts("pyramid_rates", self.pyramid_rates)
        _check_counts("pyramid_channels", [self.pyramid_channels])
        _check_counts("pyramid_bottleneck", [] if self.pyramid_bottleneck is None else [self.pyramid_bottleneck])
        _check_counts("decoder_channels", self.decoder_channels)
        if self.context_window < 3 or self.context_window % 2 == 0:
            raise ConfigError(f"model.model.context_window is {self.context_window}; wanted an odd number from 3 on")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"model.model.dropout is {self.dropout}; wanted 0 to below 1")

    @property
    def style(self) -> LayerStyle:
        """How pyramid and decoder build their layers."""
        return LayerStyle(convolution=self.convolution, groups=self.groups, norm=self.norm)

    @property
    def heads(self) -> int:
        """Outputs a pixel: the cropland logit, and that of the boundary."""
        return 2 if self.boundary else 1

    def arguments(self) -> dict[str, object]:
        """The configuration as plain JSON values, for checkpoints and model packages, which bring their weights."""
        values = asdict(self) | {"encoder_weights": None}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}

    @classmethod
    def from_arguments(cls, arguments: Mapping[str, Any]) -> Self:
        """The configuration of plain JSON values, as `arguments` gives them; its weights come from elsewhere.

        Raises:
            ConfigError: A name is unknown.
        """
        unknown = sorted(arguments.keys() - {field.name for field in fields(cls)})
        if unknown:
            raise ConfigError(f"the model has no argument {', '.join(unknown)}; was it made by a newer version?")
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in arguments.items()}
        # A package that names further weights must not make whoever loads it fetch them.
        return cls(**(values | {"encoder_weights": None}))


def _check_counts(name: str, values: Sequence[int]) -> None:
    if any(value < 1 for value in values):
        raise ConfigError(f"model.model.{name} is {', '.join(map(str, values))}; wanted 1 or more")
