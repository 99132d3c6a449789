import json
from typing import Any

import pytest

from seg.errors import ConfigError
from seg.models.build import build_model
from seg.models.config import ModelConfig


def test_arguments_survive_json() -> None:
    config = ModelConfig(pyramid_rates=(1, 3), decoder_channels=(8, 8, 8, 8))
    assert ModelConfig.from_arguments(json.loads(json.dumps(config.arguments()))) == config


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (ModelConfig(encoder="resnet81"), "encoder is 'resnet81', an unknown name; similar names: resnet18"),
        (ModelConfig(encoder=""), "encoder is '', an unknown name; see the encoders of segmentation-models-pytorch"),
        (ModelConfig(encoder="tu-no_such_network"), "encoder is 'tu-no_such_network', an unknown name"),
        (
            ModelConfig(encoder="resnet18", output_stride=12),
            "output_stride is 12; possible with encoder resnet18 are 8, 16, 32",
        ),
        (
            ModelConfig(output_stride=4),
            "decoder_channels has 3 widths ([64, 32, 16]), but an output_stride of 4 needs 2",
        ),
        (ModelConfig(decoder_channels=()), "decoder_channels has 0 widths ([]), but an output_stride of 8 needs 3"),
        (ModelConfig(encoder="tu-resnet19"), "encoder is 'tu-resnet19', an unknown name; similar names: tu-resnet"),
        (ModelConfig(encoder="tu-hf-hub:someone/net"), "encoder is 'tu-hf-hub:someone/net', an unknown name"),
        (
            ModelConfig(architecture="segformer", encoder="tu-swin_tiny_patch4_window7_224"),
            "encoder is 'tu-swin_tiny_patch4_window7_224', which does not take images of any size (",
        ),
        (ModelConfig(encoder="vgg11"), "encoder is 'vgg11', which cannot be built at output stride 8"),
        (ModelConfig(encoder="tu-vgg11"), "encoder is 'tu-vgg11', which cannot be built at output stride 8"),
        (ModelConfig(encoder="mit_b0"), "encoder is 'mit_b0', which has no features at stride 2"),
        (ModelConfig(encoder="tu-test_convnext"), "encoder is 'tu-test_convnext', which has no features at stride 2"),
        (ModelConfig(encoder="resnet19", output_stride=2), "encoder is 'resnet19', an unknown name; similar names:"),
        (
            ModelConfig(encoder="dilated_tinny"),
            "encoder is 'dilated_tinny', an unknown name; similar names: dilated_tiny",
        ),
        (
            ModelConfig(encoder="dilated_tiny", output_stride=12),
            "output_stride is 12; possible here are 2, 4, 8, 16, 32",
        ),
        (
            ModelConfig(architecture="unet", encoder="dilated_tiny"),
            "encoder is 'dilated_tiny', which works only with architecture dilated; use resnet18",
        ),
        (ModelConfig(architecture="fpn", encoder="resnet81"), "encoder is 'resnet81', an unknown name"),
        (
            ModelConfig(architecture="fpn", encoder="tu-no_such_network"),
            "encoder is 'tu-no_such_network', an unknown name",
        ),
        (
            ModelConfig(architecture="deeplabv3plus", encoder="resnet18", output_stride=4),
            "output_stride is 4; possible with architecture deeplabv3plus are 8, 16",
        ),
        (
            ModelConfig(encoder="resnet18", convolution="grouped", groups=3),
            "groups is 3, which does not divide a convolution of 512 to 96 channels; possible there are 1, 2, 4, 8",
        ),
        (
            ModelConfig(convolution="grouped", groups=32),
            "groups is 32, which does not divide a convolution of 32 to 16 channels; possible there are 1, 2, 4, 8, 16",
        ),
    ],
)
def test_what_cannot_be_built_is_named(config: ModelConfig, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        build_model(config, bands=4)
    assert str(error.value).startswith(f"model.model.{message}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"architecture": "dilatd"}, "architecture is 'dilatd'; possible are dilated, unet, deeplabv3plus, segformer,"),
        ({"convolution": "dense"}, "convolution is 'dense'; possible are standard, separable, grouped"),
        ({"norm": "layer"}, "norm is 'layer'; possible are batch, group, none"),
        ({"norm": None}, "norm is None; possible are batch, group, none"),
        ({"context": "local"}, "context is 'local'; possible are none, windowed, global"),
        ({"groups": 0}, "groups is 0; wanted 1 or more"),
        ({"pyramid_rates": (1, 0)}, "pyramid_rates is 1, 0; wanted 1 or more"),
        ({"pyramid_channels": 0}, "pyramid_channels is 0; wanted 1 or more"),
        ({"pyramid_bottleneck": 0}, "pyramid_bottleneck is 0; wanted 1 or more"),
        ({"context_window": 8}, "context_window is 8; wanted an odd number from 3 on"),
        ({"context_window": 1}, "context_window is 1; wanted an odd number from 3 on"),
        ({"decoder_channels": (8, -1)}, "decoder_channels is 8, -1; wanted 1 or more"),
        ({"dropout": 1.0}, "dropout is 1.0; wanted 0 to below 1"),
        ({"dropout": float("nan")}, "dropout is nan; wanted 0 to below 1"),
    ],
)
def test_values_out_of_range_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        ModelConfig(**arguments)
    assert str(error.value).startswith(f"model.model.{message}")


def test_a_group_count_that_does_not_divide_matters_to_grouped_convolutions_alone() -> None:
    build_model(ModelConfig(encoder="dilated_tiny", output_stride=2, groups=3, decoder_channels=(8,)), bands=4)


def test_no_bands_are_refused() -> None:
    with pytest.raises(ConfigError, match="bands is 0"):
        build_model(ModelConfig(), bands=0)


def test_unknown_arguments_are_refused() -> None:
    with pytest.raises(ConfigError, match="widht"):
        ModelConfig.from_arguments({"widht": 3})
