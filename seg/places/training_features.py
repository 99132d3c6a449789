"""Describe the deepest features of a model's training images, and store the description in the model's package."""

from collections.abc import Sequence
from pathlib import Path

import yaml

from seg.data.dataset.catalogue import read_catalogue
from seg.errors import PackageError, SegError
from seg.inference.compute.torch_backend import TorchBackend
from seg.inference.settings import ComputeSettings
from seg.inference.unlikeness import pooled_patches
from seg.package.description import ModelPackage
from seg.package.features import Vectors, add_features, describe_features
from seg.package.read import read_package
from seg.places.sampling import place_of, sample_windows
from seg.raster.grid import read_grid
from seg.terminal.plain_yaml import load_plain
from seg.terminal.progress import with_progress

MOST_WINDOWS = 256
"""Number of training windows that are described. 256 windows suffice for the covariance of the usual number of
features, and take only seconds."""


def describe_training(folder: Path, images: Sequence[Path]) -> ModelPackage | None:
    """Add a description of the training images' features to a package.

    Args:
        folder: The package.
        images: Training images; windows are sampled from all of them.

    Returns:
        The new description of the package. If the network has no encoder, or the images have fewer than two windows
        with data, the package does not change, and the result is None.

    Raises:
        PackageError: The package is damaged or cannot be written.
        RasterError: An image cannot be read.
    """
    package = read_package(folder)
    backend = TorchBackend(folder, package, ComputeSettings(device="cpu"))
    if not backend.has_features:
        return None
    place = place_of([read_grid(image) for image in images], package.bands, package.nodata, package)
    windows: list[Vectors] = []
    for sampled in with_progress(sample_windows(place, MOST_WINDOWS), "describing the training images"):
        chip = place.network_input(sampled.grid, sampled.window, package.mean)
        vectors = pooled_patches(backend.features(chip.image), chip.valid, package.stride)
        if len(vectors):
            windows.append(vectors)
    return add_features(folder, describe_features(windows)) if len(windows) > 1 else None


def add_training_features(folder: Path, images: Sequence[Path], required: bool) -> bool:
    """Add a description of the training images' features to a package; True if the description was added.

    Args:
        folder: The package.
        images: Training images; if there are none, the package does not change.
        required: True to raise all errors; False to leave the package unchanged after an error.

    Raises:
        PackageError: `required` is set, and the package is damaged or cannot be written, or an image does not fit the
            package.
        RasterError: `required` is set and an image cannot be read.
    """
    try:
        return bool(images) and describe_training(folder, images) is not None
    except SegError:
        if required:
            raise
        return False


def training_images(checkpoint: Path, data: Path | None) -> list[Path]:
    """Images that a checkpoint was trained on; empty if they cannot be found.

    Args:
        checkpoint: A checkpoint in the folder `checkpoints` of its run.
        data: The dataset; None for the dataset in the run's `config.yaml`.

    Raises:
        SegError: `data` is not a dataset.
    """
    root, folds, fold = _configured(checkpoint)
    if data is not None:
        root = data
    elif root is None or not root.is_dir():
        return []
    try:
        scenes = read_catalogue(root, folds)
    except SegError:
        if data is not None:
            raise
        return []
    training = [scene.image for scene in scenes if scene.fold != fold]
    if data is not None and not training:
        raise PackageError(f"{data}: has no training image outside fold {fold}; name the dataset of the training")
    return training


def _configured(checkpoint: Path) -> tuple[Path | None, int, int]:
    """Dataset, number of folds and held-out fold of a run; None, 5 and 0 if the configuration is not readable."""
    try:
        content = load_plain((checkpoint.parent.parent / "config.yaml").read_text(encoding="utf-8"))
        data = content["data"] if isinstance(content, dict) else {}
        return Path(data["root"]), int(data.get("folds", 5)), int(data.get("fold", 0))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, ValueError):
        return None, 5, 0
