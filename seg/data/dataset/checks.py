"""Checks of scenes and labels before training."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seg.data.dataset.catalogue import Scene
from seg.errors import DatasetError
from seg.labels import CROPLAND, IGNORE, LABEL_NAMES, OTHER
from seg.raster.classes import class_band, read_classes
from seg.raster.grid import Grid, open_raster, placed_on, read_grid, require_same_grid
from seg.raster.windows import window_grid

MAX_VALUES = 64_000_000
"""Largest scene that training loads as a whole, in values (pixels times bands). A scene of this size takes 256 MB as
float32, and its feature maps take many times as much."""

_READ_SIZE = 1024

Scaling = tuple[tuple[float, ...], tuple[float, ...]]
"""Scales and offsets, each with one value per band."""


@dataclass(frozen=True)
class LabelCounts:
    """Pixels of a mask by label.

    Attributes:
        other: Pixels of another class.
        cropland: Pixels of cropland.
        ignored: Pixels without a label.
    """

    other: int
    cropland: int
    ignored: int


def check_scene(scene: Scene, bands: Sequence[int]) -> Grid:
    """Check that a scene's mask lies on the grid of its image and that the bands exist, and return the grid.

    If the mask has no georeference, for example as a PNG, only the sizes are compared.

    Args:
        scene: Image and mask.
        bands: 1-based indexes of the bands to read.

    Raises:
        RasterError: A file cannot be opened, or the mask lies on another grid, has several bands or declares a label
            value as nodata.
        DatasetError: The image has too few bands.
    """
    image, mask = read_grid(scene.image), read_grid(scene.mask)
    require_same_grid(placed_on(mask, image), image)
    with open_raster(scene.mask) as dataset:
        class_band(dataset, scene.labels)
    require_bands(image, bands)
    return image


def require_bands(image: Grid, bands: Sequence[int]) -> None:
    """Check that an image has all bands to read.

    Args:
        image: Grid of the image.
        bands: 1-based indexes.

    Raises:
        DatasetError: The image has too few bands.
    """
    missing = [band for band in bands if not 1 <= band <= image.bands]
    if missing:
        raise DatasetError(
            f"{image.path}: has {image.bands} bands, but band {missing[0]} is wanted; "
            "set data.bands to other bands, counted from 1"
        )


def require_one_scaling(grids: Sequence[Grid], bands: Sequence[int]) -> Scaling | None:
    """Scales and offsets of the bands to read, as (scales, offsets); None if no image states them.

    Images that state no scales and offsets are accepted, since many programs drop these values.

    Args:
        grids: Grids of all images.
        bands: 1-based indexes.

    Raises:
        DatasetError: Two images state different scales or offsets, so equal values mean different reflectance.
    """
    first: tuple[Scaling, Grid] | None = None
    for grid in (grid for grid in grids if grid.scaling):
        scales, offsets = zip(*(grid.scaling[band - 1] for band in bands), strict=True)
        first = first or ((scales, offsets), grid)
        if first[0] != (scales, offsets):
            raise DatasetError(
                f"{grid.path}: states {_shown((scales, offsets))}, but {first[1].path} states {_shown(first[0])}; "
                "convert all images to the same scale and offset, or train with --model.model.normalisation=scene"
            )
    return first[0] if first else None


def require_loadable(grid: Grid, bands: int) -> None:
    """Check that a scene is small enough for a single training example.

    Args:
        grid: Grid of the image.
        bands: Number of bands to read.

    Raises:
        DatasetError: The scene has more than MAX_VALUES values.
    """
    values = grid.width * grid.height * bands
    if values > MAX_VALUES:
        raise DatasetError(
            f"{grid.path}: has {grid.width}x{grid.height} pixels in {bands} bands, {values / 1e6:.0f} million values, "
            f"but training loads whole scenes of up to {MAX_VALUES / 1e6:.0f} million; "
            "train on chips (--data.chips.size=512), or cut the scene with scripts/prepare.py split --by=blocks"
        )


def count_labels(scene: Scene) -> LabelCounts:
    """Count the pixels of a scene's mask by label, window by window.

    Raises:
        RasterError: The mask cannot be read, or has a value that is not a label.
    """
    counts = np.zeros(IGNORE + 1, dtype=np.int64)
    with open_raster(scene.mask) as mask:
        for window in window_grid(mask.height, mask.width, _READ_SIZE, _READ_SIZE):
            counts += np.bincount(read_classes(mask, window, scene.labels).ravel(), minlength=IGNORE + 1)
    return LabelCounts(int(counts[OTHER]), int(counts[CROPLAND]), int(counts[IGNORE]))


def require_both_classes(root: Path, training: Sequence[LabelCounts]) -> None:
    """Check that the training scenes have labels of both classes.

    Args:
        root: The dataset, for the message.
        training: Label counts of each training scene.

    Raises:
        DatasetError: A class has no pixel.
    """
    other = sum(counts.other for counts in training)
    cropland = sum(counts.cropland for counts in training)
    if other and cropland:
        return
    ignored = sum(counts.ignored for counts in training)
    raise DatasetError(
        f"{root}: the masks of the {len(training)} training scenes have {cropland} pixels of {LABEL_NAMES[CROPLAND]}, "
        f"{other} of {LABEL_NAMES[OTHER]} and {ignored} without a label; wanted both classes ({OTHER} is other, "
        f"{CROPLAND} is cropland, {IGNORE} is no label), so recode the masks, or describe their values with data.labels"
    )


def require_any_label(root: Path, held_out: Sequence[LabelCounts]) -> None:
    """Check that the held-out scenes have labels.

    Args:
        root: The dataset, for the message.
        held_out: Label counts of each held-out scene.

    Raises:
        DatasetError: No pixel has a label.
    """
    if any(counts.other or counts.cropland for counts in held_out):
        return
    raise DatasetError(
        f"{root}: the masks of the {len(held_out)} held-out scenes have no pixel with a label, only "
        f"{sum(counts.ignored for counts in held_out)} of value {IGNORE}; hold out another fold with data.fold, or "
        "describe the values of the masks with data.labels"
    )


def _shown(scaling: Scaling) -> str:
    scales, offsets = (", ".join(f"{value:g}" for value in dict.fromkeys(values)) for values in scaling)
    return f"scale {scales} and offset {offsets}"
