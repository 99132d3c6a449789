"""Describe the deepest features of a model's training images, for the package."""

from collections.abc import Sequence
from pathlib import Path

import yaml

from seg.data.dataset.catalogue import read_catalogue
from seg.errors import PackageError, SegError
from seg.inference.compute.torch_backend import TorchBackend
from seg.inference.features.unlikeness import pooled_patches
from seg.inference.settings import ComputeSettings
from seg.package.description import ModelPackage
from seg.package.features import Vectors, add_features, describe_features
from seg.package.read import read_package
from seg.places.sampling import Place, sample_windows
from seg.raster.grid import read_grid
from seg.terminal.plain_yaml import load_plain
from seg.terminal.progress import with_progress

MOST_WINDOWS = 256
"""Training windows to describe: enough for the covariance of common widths, and seconds of computing."""


def describe_training(folder: Path, images: Sequence[Path]) -> ModelPackage | None:
    """Add the description of some training images to a package.

    Args:
        folder: The package.
        images: Training images; windows are sampled from all of them.

    Returns:
        The new description of the package; None, and the package as it was, if its network has no encoder or the images
        hold fewer than two windows with data.

    Raises:
        PackageError: The package is damaged or cannot be written.
        RasterError: An image cannot be read.
    """
    package = read_package(folder)
    backend = TorchBackend(folder, package, ComputeSettings(device="cpu"))
    if not backend.has_features:
        return None
    place = Place([read_grid(image) for image in images], package.bands, package.nodata)
    windows: list[Vectors] = []
    for sampled in with_progress(sample_windows(place, MOST_WINDOWS), "describing the training images"):
        chip = place.read(sampled.grid, sampled.window, package.mean)
        vectors = pooled_patches(backend.features(chip.image), chip.valid, package.stride)
        if len(vectors):
            windows.append(vectors)
    return add_features(folder, describe_features(windows)) if len(windows) > 1 else None


def add_training_features(folder: Path, images: Sequence[Path], required: bool) -> bool:
    """Add the description of training images to a package, and tell whether it has one now.

    Args:
        folder: The package.
        images: Training images; none leave the package as it is.
        required: Raise the error of an image that cannot be read, instead of leaving the package as it is.

    Raises:
        PackageError: The package is damaged or cannot be written, or an image that is required does not fit it.
        RasterError: An image that is required cannot be read.
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
        data: The dataset; None for the one that the run's `config.yaml` names.

    Raises:
        SegError: The dataset that was given is no dataset.
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
    """Dataset, number of folds and held-out fold of a run; the usual numbers where its configuration is missing."""
    try:
        content = load_plain((checkpoint.parent.parent / "config.yaml").read_text(encoding="utf-8"))
        data = content["data"] if isinstance(content, dict) else {}
        return Path(data["root"]), int(data.get("folds", 5)), int(data.get("fold", 0))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, ValueError):
        return None, 5, 0
