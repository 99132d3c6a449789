"""What must hold before a scene is trained on; each failure names the file and what to do."""

from collections.abc import Sequence

import numpy as np

from seg.data.catalogue import Scene
from seg.errors import DatasetError
from seg.labels import LABEL_NAMES
from seg.raster.chips import ByteMask
from seg.raster.grid import Grid, read_grid, require_same_grid

_KNOWN = np.isin(np.arange(256), list(LABEL_NAMES))


def check_scene(scene: Scene, bands: Sequence[int]) -> Grid:
    """The grid of a scene whose mask lies on its image and whose bands are there.

    Args:
        scene: Image and mask.
        bands: 1-based band indexes that will be read.

    Raises:
        RasterError: A file cannot be opened, or the mask lies on another grid.
        DatasetError: The mask has several bands, or the image too few.
    """
    image, mask = read_grid(scene.image), read_grid(scene.mask)
    require_same_grid(mask, image)
    if mask.bands != 1:
        raise DatasetError(f"{scene.mask}: has {mask.bands} bands; wanted a mask with one band of labels")
    missing = [band for band in bands if not 1 <= band <= image.bands]
    if missing:
        raise DatasetError(
            f"{scene.image}: has {image.bands} bands, but band {missing[0]} is wanted; "
            "choose others with data.bands, which count from 1"
        )
    return image


def check_labels(scene: Scene, labels: np.ndarray) -> ByteMask:
    """The labels as uint8, when all of them are known values.

    Args:
        scene: Where they come from.
        labels: (H, W), any type.

    Raises:
        DatasetError: A value is none of 0, 1 and 255.
    """
    with np.errstate(invalid="ignore"):  # what no uint8 can hold differs afterwards
        mask = labels.astype(np.uint8)
    if not (_KNOWN[mask].all() and np.array_equal(mask, labels)):
        unknown = sorted(set(np.unique(labels).tolist()) - LABEL_NAMES.keys())
        wanted = ", ".join(f"{value} ({name})" for value, name in LABEL_NAMES.items())
        raise DatasetError(
            f"{scene.mask}: has the values {unknown[:8]}; wanted {wanted}: map the others to these before training"
        )
    return mask
