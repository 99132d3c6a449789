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
    ("config", "words"),
    [
        (ModelConfig(encoder="resnet81"), ["resnet81", "resnet18"]),
        (ModelConfig(encoder="tu-no_such_network"), ["tu-no_such_network"]),
        (ModelConfig(output_stride=12), ["12", "8", "16"]),
        (ModelConfig(output_stride=8), ["decoder_channels", "4", "3"]),
        (ModelConfig(encoder="vgg11"), ["vgg11", "output stride"]),
        (ModelConfig(encoder="tu-vgg11"), ["tu-vgg11", "output stride"]),
        (ModelConfig(encoder="mit_b0"), ["mit_b0", "no features at stride 2"]),
        (ModelConfig(encoder="tu-test_convnext"), ["tu-test_convnext", "no features at stride 2"]),
        (ModelConfig(encoder="resnet19", output_stride=2), ["resnet19", "is unknown", "resnet18"]),
        (ModelConfig(encoder="dilated_tinny", output_stride=2), ["dilated_tinny", "near it are dilated_tiny"]),
    ],
)
def test_what_cannot_be_built_is_named(config: ModelConfig, words: list[str]) -> None:
    with pytest.raises(ConfigError) as error:
        build_model(config, bands=4)
    assert all(word in str(error.value) for word in words), str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"pyramid_rates": (1, 0)}, "pyramid_rates is 1, 0; wanted 1 or more"),
        ({"pyramid_channels": 0}, "pyramid_channels is 0; wanted 1 or more"),
        ({"decoder_channels": (8, -1)}, "decoder_channels is 8, -1; wanted 1 or more"),
        ({"dropout": 1.0}, "dropout is 1.0; wanted 0 to below 1"),
        ({"dropout": float("nan")}, "dropout is nan"),
    ],
)
def test_numbers_out_of_range_are_refused(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=f"model.model.{words}"):
        ModelConfig(**arguments)


def test_no_bands_are_refused() -> None:
    with pytest.raises(ConfigError, match="bands is 0"):
        build_model(ModelConfig(), bands=0)


def test_unknown_arguments_are_refused() -> None:
    with pytest.raises(ConfigError, match="widht"):
        ModelConfig.from_arguments({"widht": 3})
