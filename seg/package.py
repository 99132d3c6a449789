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
ONNX = "model.onnx"
FORMAT = 2


@dataclass(frozen=True, kw_only=True)
class ModelPackage:
    """What is known of a trained model without loading its weights.

    Attributes:
        architecture: Name of the network and the arguments that build it.
        bands: 1-based bands of the training images, in the order the model wants them.
        image_bands: How many bands the training images had.
        band_names: One for each of `bands`; empty strings where the training images had none.
        mean: The training split's mean of each band, in stored units; invalid pixels are filled with it.
        std: The training split's standard deviation of each band.
        nodata: A value that meant "no data" in training although the files did not say so, or None.
        pixel_size_m: Pixel side of the training images in metres, or None where they had no CRS.
        threshold: Probability above which a pixel is cropland.
        stride: Pixels after which the model repeats itself; blocks align to it.
        receptive_field: Pixels over which an input can reach a logit, to each side; None where the network sees the
            whole of a window, so that a map depends on how the scene was cut.
        metrics: Scores of the checkpoint, by name.
        versions: Of this project and of the libraries that wrote the package.
        weights_sha256: Hash of the weight file.
    """

    architecture: Mapping[str, Any]
    bands: tuple[int, ...]
    image_bands: int
    band_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    nodata: float | None
    pixel_size_m: float | None
    threshold: float
    stride: int
    receptive_field: int | None
    metrics: Mapping[str, float]
    versions: Mapping[str, str]
    weights_sha256: str

    def __post_init__(self) -> None:
        """Check what a damaged or edited description could break.

        Raises:
            ValueError: A value cannot be.
        """
        if len({len(self.bands), len(self.band_names), len(self.mean), len(self.std)}) != 1 or not self.bands:
            raise ValueError("bands, band_names, mean and std must be as many")
        if min(self.bands) < 1 or max(self.bands) > self.image_bands:
            raise ValueError(f"bands are {self.bands} of {self.image_bands}")
        if not min(self.std) > 0 or not 0 <= self.threshold <= 1 or self.stride < 1 or (self.receptive_field or 0) < 0:
            raise ValueError("std, threshold, stride or receptive_field is out of range")


def write_package(checkpoint: "Checkpoint", folder: Path, threshold: float | None = None) -> ModelPackage:
    """The package of a checkpoint, written to a folder.

    Args:
        checkpoint: What training wrote.
        folder: Made with its parents; a package that lies there is replaced, with its ONNX file.
        threshold: Probability above which a pixel is cropland; that of training by default.

    Raises:
        PackageError: The folder cannot be written, or the checkpoint's weights do not fit its architecture.
        ConfigError: The threshold is no probability.
    """
    from safetensors.torch import save

    from seg.models.receptive_field import receptive_field_radius

    threshold = float(checkpoint.task["threshold"] if threshold is None else threshold)
    if not 0 <= threshold <= 1:
        raise ConfigError(f"threshold is {threshold:g}; wanted a probability from 0 to 1")
    architecture = {"name": "segmenter", "arguments": dict(checkpoint.task["model"])}
    model = _build(architecture, int(checkpoint.task["bands"]), checkpoint.weights, checkpoint.path)
    weights = save({name: tensor.contiguous() for name, tensor in model.state_dict().items()})
    try:
        package = ModelPackage(
            architecture=architecture,
            bands=tuple(checkpoint.data["bands"]),
            image_bands=int(checkpoint.data["image_bands"]),
            band_names=tuple(checkpoint.data["band_names"]),
            mean=tuple(model.normalization.mean.tolist()),
            std=tuple(model.normalization.std.tolist()),
            nodata=checkpoint.data["nodata"],
            pixel_size_m=checkpoint.data["pixel_size_m"],
            threshold=threshold,
            stride=model.stride,
            receptive_field=receptive_field_radius(model, int(checkpoint.task["bands"])),
            metrics=dict(checkpoint.metrics),
            versions={"cropland-seg": __version__} | {name: version(name) for name in ("torch", "lightning")},
            weights_sha256=hashlib.sha256(weights).hexdigest(),
        )
    except (KeyError, ValueError) as error:
        raise PackageError(f"{checkpoint.path}: does not say what a package needs ({error}); train again") from error
    _write(folder, weights, package)
    return package


def _write(folder: Path, weights: bytes, package: ModelPackage) -> None:
    labels = {str(value): name for value, name in LABEL_NAMES.items()}
    description = json.dumps({"format": FORMAT, "labels": labels, **asdict(package)}, indent=2) + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in ((WEIGHTS, weights), (DESCRIPTION, description.encode())):
            (folder / f"{name}.tmp").write_bytes(content)
        (folder / ONNX).unlink(missing_ok=True)  # of the weights before
        for name in (WEIGHTS, DESCRIPTION):
            (folder / f"{name}.tmp").replace(folder / name)
    except OSError as error:
        raise PackageError(f"{folder}: cannot be written ({error.strerror}); name another folder") from error


def add_onnx(folder: Path) -> Path:
    """The ONNX file of a package, written beside its weights and compared with them; their hash is kept in it.

    Raises:
        PackageError: The package is missing or damaged, or its network cannot be written so.
    """
    from seg.models.onnx_export import export_onnx

    package = read_package(folder)
    path = folder / ONNX
    unfinished = path.with_suffix(".tmp.onnx")
    try:
        export_onnx(
            load_model(folder, package), len(package.bands), unfinished, {"weights_sha256": package.weights_sha256}
        )
        unfinished.replace(path)
    except ConfigError as error:
        raise PackageError(f"{folder}: {error}; leave --onnx out") from error
    except OSError as error:
        raise PackageError(f"{path}: cannot be written ({error.strerror}); name another folder") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return path


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
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _no_description(path, error) from error
    if found != FORMAT:
        raise PackageError(f"{path}: has format {found}, this version reads {FORMAT}; export the model again")
    try:
        content.pop("labels")
        sequences = ("bands", "band_names", "mean", "std")
        values: dict[str, Any] = content | {name: tuple(content[name]) for name in sequences}
        package = ModelPackage(**values)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _no_description(path, error) from error
    if _sha256(folder / WEIGHTS) != package.weights_sha256:
        raise PackageError(f"{folder / WEIGHTS}: is not the file that {path} describes; export the model again")
    return package


def _no_description(path: Path, error: Exception) -> PackageError:
    return PackageError(f"{path}: not a description of a model package ({error}); export the model again")


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
    model = _build(package.architecture, len(package.mean), weights, folder / WEIGHTS)
    if model.normalization.mean.tolist() != list(package.mean) or model.normalization.std.tolist() != list(package.std):
        raise PackageError(
            f"{folder / DESCRIPTION}: its statistics are not those of the weights; export the model again"
        )
    return model


def _build(architecture: Mapping[str, Any], bands: int, weights: Mapping[str, Any], source: Path) -> "Segmenter":
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


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
