"""Read a model package, and build its network."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seg.errors import ConfigError, PackageError
from seg.files import sha256
from seg.package.description import (
    DESCRIPTION,
    WEIGHTS,
    ModelPackage,
    read_description,
)

if TYPE_CHECKING:
    from seg.models.segmenter import Segmenter


def read_package(folder: Path) -> ModelPackage:
    """The package in a folder, its weights checked against their hash but not loaded.

    Raises:
        PackageError: A file is missing or damaged, or the weights are not those that the description names.
    """
    path = folder / DESCRIPTION
    for file in (path, folder / WEIGHTS):
        if not file.is_file():
            raise PackageError(f"{file}: no such file; wanted a model package, which scripts/export.py writes")
    package = read_description(path)
    if sha256(folder / WEIGHTS) != package.weights_sha256:
        raise PackageError(f"{folder / WEIGHTS}: is not the file that {path} describes; export the model again")
    return package


def load_model(folder: Path, package: ModelPackage) -> "Segmenter":
    """The trained network of a package, ready for inference.

    Raises:
        PackageError: The weights do not fit the description.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        weights = load_file(folder / WEIGHTS)
    except SafetensorError as error:
        raise PackageError(f"{folder / WEIGHTS}: damaged ({error}); export the model again") from error
    model = build_network(package.architecture, len(package.mean), weights, folder / WEIGHTS)
    if model.normalization.mean.tolist() != list(package.mean) or model.normalization.std.tolist() != list(package.std):
        raise PackageError(
            f"{folder / DESCRIPTION}: its statistics are not those of the weights; export the model again"
        )
    return model


def build_network(architecture: Mapping[str, Any], bands: int, weights: Mapping[str, Any], source: Path) -> "Segmenter":
    """The network of an architecture with trained weights, ready for inference.

    Args:
        architecture: As `ModelPackage` has it.
        bands: How many it takes.
        weights: Its parameters and buffers by name.
        source: The file they come from, for the error.

    Raises:
        PackageError: The weights do not fit.
    """
    # torch is imported here and not above: a description is read without it.
    from seg.models.build import build_model
    from seg.models.config import ModelConfig

    try:
        model = build_model(ModelConfig.from_arguments(architecture["arguments"]), bands)
        model.load_state_dict(dict(weights))
    except (ConfigError, RuntimeError, TypeError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise PackageError(f"{source}: the weights do not fit the architecture beside them ({reason})") from error
    return model.eval()
