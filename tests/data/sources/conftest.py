"""Helpers for tests of imports: functions that write source files and read imported datasets."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import rasterio

from seg.data.dataset.catalogue import read_catalogue
from seg.raster.classes import read_classes
from seg.raster.grid import open_raster

DRIVERS = {".png": "PNG", ".jpg": "JPEG", ".tif": "GTiff"}

WritePlain = Callable[[Path, npt.ArrayLike], Path]
ReadBack = Callable[[Path], dict[str, tuple[int, list[list[int]]]]]


@pytest.fixture
def write_plain() -> WritePlain:
    """Function `write_plain(path, pixels)` that writes (H, W) or (C, H, W) uint8 without a georeference; the suffix
    sets the format."""

    def write(path: Path, pixels: npt.ArrayLike) -> Path:
        layers = np.asarray(pixels, dtype=np.uint8)
        layers = layers[None] if layers.ndim == 2 else layers
        count, height, width = layers.shape
        path.parent.mkdir(parents=True, exist_ok=True)
        profile = {"count": count, "height": height, "width": width, "dtype": "uint8"}
        with rasterio.open(path, "w", driver=DRIVERS[path.suffix], **profile) as dataset:
            dataset.write(layers)
        for companion in path.parent.glob("*.aux.xml"):
            companion.unlink()
        return path

    return write


@pytest.fixture
def read_back() -> ReadBack:
    """Function `read_back(root)` that returns fold and labels of an imported dataset by image name, as read in
    training."""

    def read(root: Path) -> dict[str, tuple[int, list[list[int]]]]:
        scenes = {}
        for scene in read_catalogue(root, 5):
            with open_raster(scene.mask) as mask:
                scenes[scene.image.name] = scene.fold, read_classes(mask).tolist()
        return scenes

    return read
