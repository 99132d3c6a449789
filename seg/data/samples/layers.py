"""Layers of a window other than its image: labels, and percents of a teacher's map."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
from rasterio.io import DatasetReader
from rasterio.windows import Window

from seg.data.dataset.catalogue import Scene
from seg.data.dataset.unlabelled import AnyScene
from seg.labels import IGNORE, OTHER
from seg.raster.chips import BoolMask, ByteMask, Chip, Reading, read_chip
from seg.raster.classes import read_classes, read_percent
from seg.raster.scene_statistics import MatchedScenes

Maps = Mapping[Path, Path]
"""Probability map of a teacher for each image that has a map; both are on the same grid."""


class Rasters(Protocol):
    """Open rasters by path."""

    def __getitem__(self, path: Path) -> DatasetReader:
        """The open raster of a path."""


def read_pixels(
    rasters: Rasters, scene: AnyScene, window: Window, reading: Reading, matching: MatchedScenes | None
) -> Chip:
    """Pixels of a window, matched to the training images if a matching is given.

    Args:
        rasters: Open rasters of this process.
        scene: A scene with or without a mask.
        window: Pixels to read.
        reading: Settings for reading the image.
        matching: Matching of each scene's values to the training images; None to keep the stored values.

    Raises:
        RasterError: The image cannot be read.
    """
    raster = rasters[scene.image]
    return read_chip(raster, window, reading) if matching is None else matching.read(raster, scene.image, window)


def read_labels(rasters: Rasters, scene: AnyScene, window: Window, reading: Reading) -> ByteMask:
    """Labels of a window, (H, W); an unlabelled scene has OTHER where its image has data, and IGNORE elsewhere.

    Args:
        rasters: Open rasters of this process.
        scene: A scene with or without a mask.
        window: Pixels to read.
        reading: Settings for reading the image.

    Raises:
        RasterError: A file cannot be read, or the mask has unknown values.
    """
    if isinstance(scene, Scene):
        return read_classes(rasters[scene.mask], window, scene.labels)
    return labels_of(read_chip(rasters[scene.image], window, reading).valid)


def labels_of(valid: BoolMask) -> ByteMask:
    """(H, W) labels of an unlabelled scene: OTHER where pixels are valid, IGNORE elsewhere."""
    return np.where(valid, np.uint8(OTHER), np.uint8(IGNORE))


def read_map(rasters: Rasters, scene: AnyScene, window: Window, maps: Maps | None) -> ByteMask | None:
    """(H, W) percents of a teacher's map in a window; IGNORE where the map has no value. None if no scene has a map.

    Args:
        rasters: Open rasters of this process.
        scene: A scene with or without a mask.
        window: Pixels to read.
        maps: Map of each image that has a map; None if no image has a map.

    Raises:
        RasterError: The map cannot be read, or holds no percents.
    """
    if maps is None:
        return None
    if scene.image not in maps:
        return np.full((window.height, window.width), IGNORE, np.uint8)
    percent, valid = read_percent(rasters[maps[scene.image]], window)
    return np.where(valid, percent, np.uint8(IGNORE))
