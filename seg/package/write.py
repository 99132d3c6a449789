"""Writing of model packages: weights, description, and the network as ONNX."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from seg import __version__
from seg.errors import ConfigError, PackageError
from seg.files import claimed, complete_in_claimed_folder, complete_or_absent, remove_leftovers, sha256, writing
from seg.package.description import (
    DESCRIPTION,
    FEATURES,
    ONNX,
    QGIS,
    SCREENER,
    WEIGHTS,
    ModelPackage,
    description_text,
    read_description,
)
from seg.package.read import build_network, load_model, next_name, read_package

if TYPE_CHECKING:
    from torch import Tensor

    from seg.models.segmenter import Segmenter
    from seg.package.checkpoint import Checkpoint

NETWORKS = (WEIGHTS, ONNX)
"""Files that may hold the network of a package."""

PACKAGE_FILES = (DESCRIPTION, *NETWORKS, *map(next_name, NETWORKS), FEATURES, QGIS, SCREENER)


def write_package(
    checkpoint: "Checkpoint", folder: Path, threshold: float | Literal["f1", "area"] | None = None
) -> ModelPackage:
    """Write the model package of a checkpoint.

    Args:
        checkpoint: A training checkpoint.
        folder: Folder to write; it and its parents are created. An existing package, including its ONNX file, is
            replaced atomically.
        threshold: Calibrated probability above which a pixel is cropland; "f1" for the highest F1 in validation; "area"
            for the threshold at which the mapped area equals the cropland area in validation. None for the threshold
            that the calibration chose or, if there is no calibration, the threshold of the task.

    Raises:
        PackageError: The folder holds a `model.json` of another program, or the checkpoint's weights do not fit its
            architecture.
        ConfigError: The threshold is outside 0 to 1, or the checkpoint has no threshold of this name.
        WriteError: The folder cannot be written.
        ClaimError: Another process is writing the folder.
    """
    from safetensors.torch import save

    from seg.models.receptive_field import receptive_field_radius

    _require_mapping(checkpoint)
    cut = checkpoint.threshold(threshold)
    architecture = {"name": "segmenter", "arguments": dict(checkpoint.task["model"])}
    model = build_network(architecture, int(checkpoint.task["bands"]), checkpoint.weights, checkpoint.path)
    weights = save(_plain(model))
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
            scales=_stated(checkpoint.data.get("scales")),
            offsets=_stated(checkpoint.data.get("offsets")),
            taught_by=dict(checkpoint.taught_by) or None,
        )
    except (KeyError, ValueError, TypeError) as error:
        raise PackageError(f"{checkpoint.path}: lacks a value for the package ({error}); train again") from error
    replace_package(folder, weights, package)
    return package


def _require_mapping(checkpoint: "Checkpoint") -> None:
    """Reject checkpoints of tasks whose networks do not map cropland."""
    path = checkpoint.path
    if checkpoint.task.get("task") == "pretext":
        raise PackageError(
            f"{path}: was trained to fill in images and cannot map; train on labels from it with "
            f"--model.initial_weights={path}"
        )
    if checkpoint.task.get("task") == "screen":
        raise PackageError(
            f"{path}: was trained to screen scenes and cannot map; add it to a package with --screener={path}"
        )


def write_derived(model: "Segmenter", package: ModelPackage, folder: Path) -> ModelPackage:
    """Write the package of a network that was derived from another package, for example by adapting its statistics.

    Args:
        model: The network.
        package: Description of the network. This function sets its statistics, hash of the weights and versions.
        folder: Folder to write, as in `write_package`.

    Raises:
        PackageError: The folder holds a `model.json` of another program.
        WriteError: The folder cannot be written.
        ClaimError: Another process is writing the folder.
    """
    from safetensors.torch import save

    weights = save(_plain(model))
    described = replace(
        package,
        mean=tuple(model.normalization.mean.tolist()),
        std=tuple(model.normalization.std.tolist()),
        versions={**package.versions, "cropland-seg": __version__, "torch": version("torch")},
        weights_sha256=hashlib.sha256(weights).hexdigest(),
        onnx_sha256=None,
        features_sha256=None,
        screener_sha256=None,
    )
    replace_package(folder, weights, described)
    return described


def _plain(model: "Segmenter") -> dict[str, "Tensor"]:
    """Parameters and buffers by name, on the CPU."""
    return {name: tensor.cpu().contiguous() for name, tensor in model.state_dict().items()}


def _stated(values: Sequence[float] | None) -> tuple[float, ...] | None:
    return None if values is None else tuple(values)


def replace_package(folder: Path, network: bytes, package: ModelPackage) -> None:
    """Replace a package atomically: readers find either the old package or the new one.

    The new package is in use as soon as its description is renamed. At that moment, the new network still has a
    temporary name; readers find it by its hash (`seg.package.read.network_file`).

    Args:
        folder: Folder to write, as in `write_package`.
        network: Content of the weight file or, for a network of another program, of the ONNX file.
        package: Description of the network.

    Raises:
        PackageError: The folder cannot be written or holds a `model.json` of another program.
        ClaimError: Another process is writing the folder.
    """
    description, name = folder / DESCRIPTION, WEIGHTS if package.network is None else ONNX
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        _require_replaceable(description)
        with claimed(folder):
            _finish_earlier(folder)
            with complete_in_claimed_folder(folder / next_name(name)) as temporary:
                temporary.write_bytes(network)
            with complete_in_claimed_folder(description) as temporary:
                temporary.write_text(description_text(package), encoding="utf-8")
            (folder / next_name(name)).replace(folder / name)
            for of_earlier_network in {WEIGHTS, ONNX, FEATURES, QGIS, SCREENER} - {name}:
                (folder / of_earlier_network).unlink(missing_ok=True)
            remove_leftovers(folder, PACKAGE_FILES)


def _require_replaceable(description: Path) -> None:
    """Check that `model.json` was not written by another program, before it is replaced.

    Raises:
        PackageError: The file exists and is not a description of a model package.
    """
    if not description.exists():
        return
    try:
        content = json.loads(description.read_text(encoding="utf-8"))
        is_description = isinstance(content, dict) and {"format", "architecture", "weights_sha256"} <= content.keys()
    except (ValueError, RecursionError):
        is_description = False
    if not is_description:
        raise PackageError(
            f"{description}: is not a model package's description, so it is not replaced; name another folder"
        )


def _finish_earlier(folder: Path) -> None:
    """Complete an export that was killed between its two renames, or remove its unused network."""
    waiting = [name for name in NETWORKS if (folder / next_name(name)).is_file()]
    if not waiting:
        return
    try:
        package = read_description(folder / DESCRIPTION)
        wanted = {WEIGHTS: package.weights_sha256, ONNX: package.onnx_sha256}
    except (PackageError, OSError):
        wanted = {}
    for name in waiting:
        if sha256(folder / next_name(name)) == wanted.get(name):
            (folder / next_name(name)).replace(folder / name)
        else:
            (folder / next_name(name)).unlink()


def add_onnx(folder: Path, path: Path | None = None) -> Path:
    """Write the ONNX file of a package, compare it with the weights, and store its hash in the description.

    Args:
        folder: The package.
        path: Another path for the file, for example if the package is read-only. The hash is then not stored in the
            description.

    Raises:
        PackageError: The package is missing or damaged, or its network cannot be exported.
        WriteError: The file cannot be written.
    """
    if path is not None:
        with complete_or_absent(path) as unfinished:
            _export(folder, read_package(folder), unfinished)
        return path
    with writing(folder), claimed(folder, wait=True):
        remove_leftovers(folder, PACKAGE_FILES)
        package = read_package(folder)
        if package.network is not None:
            raise PackageError(f"{folder}: its network is an ONNX file already; leave --onnx out")
        with complete_in_claimed_folder(folder / ONNX) as unfinished:
            _export(folder, package, unfinished)
            described = replace(package, onnx_sha256=sha256(unfinished))
        with complete_in_claimed_folder(folder / DESCRIPTION) as unfinished:
            unfinished.write_text(description_text(described), encoding="utf-8")
    return folder / ONNX


def _export(folder: Path, package: ModelPackage, path: Path) -> None:
    from seg.models.onnx_export import export_onnx

    metadata = {"weights_sha256": package.weights_sha256}
    try:
        export_onnx(load_model(folder, package), len(package.bands), path, metadata)
    except ConfigError as error:
        raise PackageError(f"{folder}: {error}; leave --onnx and --qgis out") from error
