"""Write a model package: weights and description, and the network as ONNX."""

import hashlib
import uuid
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from seg import __version__
from seg.errors import ConfigError, PackageError
from seg.package.description import (
    DESCRIPTION,
    ONNX,
    WEIGHTS,
    ModelPackage,
    description_text,
)
from seg.package.read import build_network, load_model, read_package

if TYPE_CHECKING:
    from seg.package.checkpoint import Checkpoint


def write_package(
    checkpoint: "Checkpoint", folder: Path, threshold: float | Literal["f1", "area"] | None = None
) -> ModelPackage:
    """The package of a checkpoint, written to a folder.

    Args:
        checkpoint: What training wrote.
        folder: Made with its parents; a package that lies there is replaced, with its ONNX file.
        threshold: Calibrated probability above which a pixel is cropland, or the one with the highest F1 or with as
            much mapped as is cropland in the validation; by default what training chose, or else scored with.

    Raises:
        PackageError: The folder cannot be written, or the checkpoint's weights do not fit its architecture.
        ConfigError: The threshold is no probability, or the validation gave none of that name.
    """
    from safetensors.torch import save

    from seg.models.receptive_field import receptive_field_radius

    cut = checkpoint.threshold(threshold)
    architecture = {"name": "segmenter", "arguments": dict(checkpoint.task["model"])}
    model = build_network(architecture, int(checkpoint.task["bands"]), checkpoint.weights, checkpoint.path)
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
            temperature=float(checkpoint.calibration.get("temperature", 1)),
            bias=float(checkpoint.calibration.get("bias", 0)),
            threshold=cut,
            stride=model.stride,
            receptive_field=receptive_field_radius(model, int(checkpoint.task["bands"])),
            metrics={**checkpoint.metrics, **checkpoint.calibration_scores()},
            versions={"cropland-seg": __version__} | {name: version(name) for name in ("torch", "lightning")},
            weights_sha256=hashlib.sha256(weights).hexdigest(),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise PackageError(f"{checkpoint.path}: does not say what a package needs ({error}); train again") from error
    _write(folder, weights, package)
    return package


def _write(folder: Path, weights: bytes, package: ModelPackage) -> None:
    description = description_text(package)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in ((WEIGHTS, weights), (DESCRIPTION, description.encode())):
            (folder / f"{name}.tmp").write_bytes(content)
        (folder / ONNX).unlink(missing_ok=True)  # of the weights before
        for name in (WEIGHTS, DESCRIPTION):
            (folder / f"{name}.tmp").replace(folder / name)
    except OSError as error:
        raise PackageError(f"{folder}: cannot be written ({error.strerror}); name another folder") from error


def add_onnx(folder: Path, path: Path | None = None) -> Path:
    """The ONNX file of a package, compared with its weights, whose hash is kept in it.

    The file appears once it is whole and compared, so that processes which make it at once do not disturb each other.

    Args:
        folder: The package.
        path: The file to write; beside the weights by default.

    Raises:
        PackageError: The package is missing or damaged, or its network cannot be written so.
    """
    from seg.models.onnx_export import export_onnx

    package = read_package(folder)
    path = path or folder / ONNX
    unfinished = path.with_name(f".{uuid.uuid4().hex}.{path.name}")
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
