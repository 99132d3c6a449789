"""Reading of model packages and their networks."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seg.errors import ConfigError, PackageError
from seg.files import sha256
from seg.package.description import DESCRIPTION, ONNX, WEIGHTS, ModelPackage, read_description

if TYPE_CHECKING:
    from seg.models.segmenter import Segmenter


def next_name(name: str) -> str:
    """Temporary name of a file with a new network while a package is being replaced (see `seg.package.write`)."""
    return f".{name}.next"


def read_package(folder: Path) -> ModelPackage:
    """Read the description of a package, and check the hash of the network's file without loading the network.

    Raises:
        PackageError: A file is missing or damaged, or the weights do not match the description.
    """
    path = folder / DESCRIPTION
    if not path.is_file():
        raise PackageError(f"{path}: no such file; wanted a model package, which scripts/export.py writes")
    package = read_description(path)
    network_file(folder, package)
    return package


def network_file(folder: Path, package: ModelPackage) -> Path:
    """Find the file of a package's network by its hash: the weights, or the ONNX file of another program.

    If an export is killed between its two renames, the new file still has its temporary name.

    Raises:
        PackageError: The file is missing, or its hash differs from the one in the description.
    """
    name, wanted = (WEIGHTS, package.weights_sha256) if package.network is None else (ONNX, package.onnx_sha256)
    places = [path for path in (folder / name, folder / next_name(name)) if path.is_file()]
    for path in places:
        if sha256(path) == wanted:
            return path
    if not places:
        raise PackageError(f"{folder / name}: no such file; wanted a model package, which scripts/export.py writes")
    raise PackageError(
        f"{folder / name}: is not the file that {folder / DESCRIPTION} describes; export the model again"
    )


def weights_file(folder: Path, package: ModelPackage) -> Path:
    """Find the weight file of a package by its hash, as `network_file` does.

    Raises:
        PackageError: The file is missing or has another hash, or the package holds a network of another program.
    """
    if package.network is not None:
        raise PackageError(
            f"{folder}: holds {package.network.file}, an ONNX network of another program, which has no weights for "
            "PyTorch and can only map scenes; wanted a package that export.py wrote from a checkpoint"
        )
    return network_file(folder, package)


def load_model(folder: Path, package: ModelPackage) -> "Segmenter":
    """Load the trained network of a package, in evaluation mode.

    Raises:
        PackageError: The weights are damaged or do not fit the description.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = weights_file(folder, package)
    try:
        weights = load_file(path)
    except SafetensorError as error:
        raise PackageError(f"{path}: damaged ({error}); export the model again") from error
    model = build_network(package.architecture, len(package.mean), weights, path)
    if model.normalization.mean.tolist() != list(package.mean) or model.normalization.std.tolist() != list(package.std):
        raise PackageError(
            f"{folder / DESCRIPTION}: its statistics differ from those in the weights; export the model again"
        )
    return model


def build_network(architecture: Mapping[str, Any], bands: int, weights: Mapping[str, Any], source: Path) -> "Segmenter":
    """Build the network of an architecture with trained weights, in evaluation mode.

    Args:
        architecture: Name and arguments, as in `ModelPackage`.
        bands: Number of input bands.
        weights: Parameters and buffers by name.
        source: File of the weights, for the error message.

    Raises:
        PackageError: The weights do not fit the architecture.
    """
    # Imported here, so that reading a description does not import torch.
    from seg.models.build import build_model
    from seg.models.config import ModelConfig

    try:
        model = build_model(ModelConfig.from_arguments(architecture["arguments"]), bands)
        model.load_state_dict(dict(weights))
    except (ConfigError, RuntimeError, TypeError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise PackageError(f"{source}: the weights do not fit the stated architecture ({reason})") from error
    return model.eval()
