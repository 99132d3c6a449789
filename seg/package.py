"""Write and read a model package: a folder with all that inference needs, and nothing that executes."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seg import __version__
from seg.errors import ConfigError, PackageError
from seg.labels import LABEL_NAMES

if TYPE_CHECKING:
    from seg.checkpoint import Checkpoint
    from seg.models.segmenter import Segmenter

WEIGHTS = "model.safetensors"
DESCRIPTION = "model.json"
FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class ModelPackage:
    """What is known of a trained model without loading its weights.

    Attributes:
        architecture: Name of the network and the arguments that build it.
        band_names: One a band, in the order the model wants them; empty strings where the training images had none.
        mean: The training split's mean of each band, in stored units; invalid pixels are filled with it.
        std: The training split's standard deviation of each band.
        pixel_size_m: Pixel side of the training images in metres, or None where they had no projected CRS.
        threshold: Probability above which a pixel is cropland.
        stride: Pixels after which the model repeats itself; blocks align to it.
        receptive_field: Pixels over which an input can reach a logit, to each side.
        metrics: Scores of the checkpoint, by name.
        versions: Of this project and of the libraries that wrote the package.
        weights_sha256: Hash of the weight file.
    """

    architecture: Mapping[str, Any]
    band_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    pixel_size_m: float | None
    threshold: float
    stride: int
    receptive_field: int
    metrics: Mapping[str, float]
    versions: Mapping[str, str]
    weights_sha256: str


def write_package(checkpoint: "Checkpoint", folder: Path, threshold: float | None = None) -> ModelPackage:
    """The package of a checkpoint, written to a folder.

    Args:
        checkpoint: What training wrote.
        folder: Made with its parents; a package that lies there is replaced.
        threshold: Probability above which a pixel is cropland; that of training by default.

    Raises:
        PackageError: The folder cannot be written, or the checkpoint's weights do not fit its architecture.
        ConfigError: The threshold is no probability.
    """
    from safetensors.torch import save_file

    from seg.models.receptive_field import receptive_field_radius

    threshold = float(checkpoint.task["threshold"] if threshold is None else threshold)
    if not 0 <= threshold <= 1:
        raise ConfigError(f"threshold is {threshold:g}; wanted a probability from 0 to 1")
    architecture = {"name": "segmenter", "arguments": dict(checkpoint.task["model"])}
    bands = int(checkpoint.task["bands"])
    model = _build(architecture, bands, checkpoint.weights, checkpoint.path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f"{WEIGHTS}.tmp"
        save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, temporary)
    except OSError as error:
        raise PackageError(f"{folder}: cannot be written ({error}); name another folder") from error
    package = ModelPackage(
        architecture=architecture,
        band_names=tuple(checkpoint.data["band_names"]),
        mean=tuple(model.normalization.mean.tolist()),
        std=tuple(model.normalization.std.tolist()),
        pixel_size_m=checkpoint.data["pixel_size_m"],
        threshold=threshold,
        stride=model.stride,
        receptive_field=receptive_field_radius(model, bands, model.stride),
        metrics=dict(checkpoint.metrics),
        versions={"cropland-seg": __version__} | {name: version(name) for name in ("torch", "lightning")},
        weights_sha256=_sha256(temporary),
    )
    content = {"format": FORMAT, "labels": {str(key): name for key, name in LABEL_NAMES.items()}, **asdict(package)}
    description = folder / f"{DESCRIPTION}.tmp"
    description.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    temporary.replace(folder / WEIGHTS)
    description.replace(folder / DESCRIPTION)
    return package


def read_package(folder: Path) -> ModelPackage:
    """The package in a folder, its weights checked against their hash but not loaded.

    Raises:
        PackageError: A file is missing or damaged, or the weights are not those that the description names.
    """
    path = folder / DESCRIPTION
    for file in (path, folder / WEIGHTS):
        if not file.is_file():
            raise PackageError(f"{file}: no such file; wanted a model package, which scripts/export.py writes")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found = content.pop("format")
        content.pop("labels")
        values: dict[str, Any] = content | {name: tuple(content[name]) for name in ("band_names", "mean", "std")}
        package = ModelPackage(**values)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PackageError(f"{path}: not a description of a model package ({error}); export the model again") from error
    if found != FORMAT:
        raise PackageError(f"{path}: has format {found}, this version reads {FORMAT}; export the model again")
    if _sha256(folder / WEIGHTS) != package.weights_sha256:
        raise PackageError(f"{folder / WEIGHTS}: is not the file that {path} describes; export the model again")
    return package


def load_model(folder: Path, package: ModelPackage) -> "Segmenter":
    """The trained network of a package, ready for inference.

    Raises:
        PackageError: The weights do not fit the architecture.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        weights = load_file(folder / WEIGHTS)
    except SafetensorError as error:
        raise PackageError(f"{folder / WEIGHTS}: damaged ({error}); export the model again") from error
    return _build(package.architecture, len(package.mean), weights, folder / WEIGHTS)


def _build(architecture: Mapping[str, Any], bands: int, weights: Mapping[str, Any], source: Path) -> "Segmenter":
    # torch is imported here and not above: a description is read without it.
    from seg.models.build import ModelConfig, build_model

    try:
        model = build_model(ModelConfig.from_arguments(architecture["arguments"]), bands)
        model.load_state_dict(dict(weights))
    except (ConfigError, RuntimeError, TypeError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise PackageError(f"{source}: the weights do not fit the architecture beside them ({reason})") from error
    return model.eval()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
