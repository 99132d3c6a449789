"""The inspected network, from a training configuration or a model package."""

from dataclasses import dataclass, replace
from pathlib import Path

import yaml
from jsonargparse import ArgumentError, ArgumentParser

from seg.errors import ConfigError
from seg.models.build import build_model
from seg.models.config import ModelConfig
from seg.models.segmenter import Segmenter
from seg.package.read import load_model, read_package
from seg.terminal.plain_yaml import check_yaml


@dataclass(frozen=True)
class Subject:
    """A network and its source.

    Attributes:
        source: Configuration file or package folder.
        config: Configuration of the network.
        bands: Channels of the input.
        model: The network.
    """

    source: Path
    config: ModelConfig
    bands: int
    model: Segmenter


def from_package(folder: Path) -> Subject:
    """Load the trained network of a model package.

    Raises:
        PackageError: The package is missing or damaged.
    """
    package = read_package(folder)
    model = load_model(folder, package)
    return Subject(folder, ModelConfig.from_arguments(package.architecture["arguments"]), len(package.bands), model)


def from_config(path: Path, bands: int) -> Subject:
    """Build the network of a training configuration, with random weights.

    Args:
        path: YAML file for `scripts/train.py --config`.
        bands: Channels of the input if the configuration does not list the bands.

    Raises:
        ConfigError: The file is missing or cannot be read, or its network cannot be built.
    """
    try:
        text = path.read_text(encoding="utf-8")
        check_yaml(text)
        content = yaml.safe_load(text)
        named = (content.get("data") or {}).get("bands")
        arguments = (content.get("model") or {}).get("model") or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a training configuration in YAML"
        raise ConfigError(f"{path}: cannot be read ({reason}); wanted a configuration of scripts/train.py") from error
    count = len(named) if isinstance(named, list) else bands
    config = replace(_model_config(path, arguments), encoder_weights=None)
    return Subject(path, config, count, build_model(config, count))


def _model_config(path: Path, arguments: object) -> ModelConfig:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(ModelConfig, "model")
    try:
        config: ModelConfig = parser.instantiate(parser.parse_object({"model": arguments})).model
    except ArgumentError as error:
        raise ConfigError(f"{path}: its model.model cannot be read ({' '.join(str(error).split())})") from error
    return config
