import json

import pytest

from seg.errors import ConfigError
from seg.models.build import ModelConfig, build_model


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
    ],
)
def test_what_cannot_be_built_is_named(config: ModelConfig, words: list[str]) -> None:
    with pytest.raises(ConfigError) as error:
        build_model(config, bands=4)
    assert all(word in str(error.value) for word in words), str(error.value)
    assert "\n" not in str(error.value)


def test_no_bands_are_refused() -> None:
    with pytest.raises(ConfigError, match="bands is 0"):
        build_model(ModelConfig(), bands=0)


def test_unknown_arguments_are_refused() -> None:
    with pytest.raises(ConfigError, match="widht"):
        ModelConfig.from_arguments({"widht": 3})
