"""Pixels of a class map that may be drawn, by stratum, read window by window."""

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.io import DatasetReader
from rasterio.windows import Window

from seg.errors import RasterError
from seg.labels import (
    CROPLAND,
    IGNORE,
    LABEL_NAMES,
    OTHER,
)
from seg.raster.chips import read_band
from seg.raster.classes import class_band
from seg.raster.grid import (
    Grid,
    open_raster,
    read_grid,
    require_same_grid,
)
from seg.raster.ground.pixel_areas import SQUARE_METRES_PER_HECTARE, PixelAreas
from seg.raster.windows import window_grid
from seg.terminal.progress import with_progress

WINDOW_SIZE = 1024
"""Side of a window in pixels, a multiple of common tile sizes. Map and zones take about 60 MB for each window."""

CLASSES_TAG = "SEG_CLASSES"
"""Tag of a map with classes other than cropland and other: JSON with the names of the classes by value."""

MOST_CLASSES = 32
MOST_STRATA = 1000

OUTSIDE = -1
"""Key of a pixel outside every stratum."""

_SCREENED = 256
"""Added to the key of a stratum of screened pixels."""

_KEYS_A_ZONE = 512
"""Number of keys for each zone: the key of a stratum is 512 times its zone, plus its class, plus 256 if screened."""

SCREENED_TAG, SCREENED_NAME = "SEG_SCREENED_PIXELS", "_screened"
"""Tag of a map whose prediction left out screened pixels, and end of the name of the raster that shows them."""

_NARROW = 1 << 20
"""Keys within this span are counted in an array, which is ten times faster than sorting."""


@dataclass(frozen=True)
class StratumTally:
    """Number of pixels and area of a stratum.

    Attributes:
        name: Name of the class, with the zone if there are zones.
        label: Value of the class in the map.
        zone: Value of the zone raster; None if there are no zones.
        pixels: Number of pixels.
        area_ha: Ground area in hectares.
        screened: True for pixels that the prediction did not compute, but screened as other.
    """

    name: str
    label: int
    zone: int | None
    pixels: int
    area_ha: float
    screened: bool = False


@dataclass(frozen=True)
class Population:
    """A class map, optionally divided into zones, and into screened and computed pixels.

    Attributes:
        map: One band of whole numbers 0 to 254; nodata and 255 belong to no class.
        zones: Raster on the same grid with a whole number for each pixel; pixels without a number are left out.
        screened: Raster on the same grid, 1 for screened pixels, as `predict.py --screen` writes.
    """

    map: Path
    zones: Path | None = None
    screened: Path | None = None

    def grid(self) -> Grid:
        """Common grid of map and zones.

        Raises:
            RasterError: A file cannot be read, or the grids differ.
        """
        grid = read_grid(self.map)
        for other in (self.zones, self.screened):
            if other is not None:
                require_same_grid(read_grid(other), grid)
        return grid

    def windows(self, title: str, size: int = WINDOW_SIZE) -> Iterator[tuple[Window, NDArray[np.int64]]]:
        """Windows with the stratum key of each pixel, (H, W) int64 as in `key`; OUTSIDE for pixels without a stratum.

        Args:
            title: Title of the progress bar.
            size: Side of a window in pixels.

        Raises:
            RasterError: Pixels cannot be read, or their values are not classes.
        """
        grid = self.grid()
        with ExitStack() as opened:
            class_map = opened.enter_context(open_raster(self.map))
            zones, screened = (
                None if path is None else opened.enter_context(open_raster(path))
                for path in (self.zones, self.screened)
            )
            cut = list(window_grid(grid.height, grid.width, size, size))
            for window in with_progress(cut, title, len(cut)):
                keys, valid = _whole_numbers(class_map, class_band(class_map), window)
                _require_classes(self.map, keys[valid])
                valid &= keys != IGNORE
                if zones is not None:
                    numbers, zoned = _whole_numbers(zones, 1, window)
                    keys += numbers * _KEYS_A_ZONE
                    valid &= zoned
                if screened is not None:
                    keys[_whole_numbers(screened, 1, window)[0] == 1] += _SCREENED
                keys[~valid] = OUTSIDE
                yield window, keys

    def tally(self, size: int = WINDOW_SIZE) -> list[StratumTally]:
        """Count pixels and ground area of every stratum, sorted by zone and class.

        Args:
            size: Side in pixels of the windows that are read; it does not change the counts.

        Raises:
            RasterError: A file cannot be read, its ground areas are unknown, or it has no classes or too many values.
        """
        areas = PixelAreas(self.grid())
        found: dict[int, tuple[int, float]] = {}
        for window, keys in self.windows("Counting", size):
            present, places = numbered(keys)
            pixels = np.bincount(places, minlength=len(present))
            ground = np.bincount(places, areas.window(window).ravel(), len(present))
            for key, count, area in zip(present.tolist(), pixels.tolist(), ground.tolist(), strict=True):
                before = found.get(key, (0, 0.0))
                if count and key != OUTSIDE:
                    found[key] = before[0] + count, before[1] + area
            self._require_few(found)
        if not found:
            raise RasterError(f"{self.map}: has no pixel of any class{self._within()}; give a map with classes")
        names = class_names(self.map, {_label(key) for key in found})
        return [
            StratumTally(
                name=names[_label(key)]
                + (", screened" if _is_screened(key) else "")
                + (f", zone {key // _KEYS_A_ZONE}" if self.zones else ""),
                label=_label(key),
                screened=_is_screened(key),
                zone=key // _KEYS_A_ZONE if self.zones else None,
                pixels=pixels,
                area_ha=area / SQUARE_METRES_PER_HECTARE,
            )
            for key, (pixels, area) in sorted(found.items())
        ]

    def _require_few(self, found: dict[int, tuple[int, float]]) -> None:
        labels = {_label(key) for key in found}
        if len(labels) > MOST_CLASSES:
            raise RasterError(
                f"{self.map}: has more than {MOST_CLASSES} different values; wanted a map of classes, not of "
                "probabilities or measurements"
            )
        if len(found) > MOST_STRATA:
            raise RasterError(f"{self.zones}: gives more than {MOST_STRATA} strata; use fewer zones")

    def _within(self) -> str:
        return f" within the zones of {self.zones}" if self.zones else ""


def key(stratum: StratumTally) -> int:
    """Number of a stratum in the arrays of `Population.windows`, as described at `_KEYS_A_ZONE`."""
    return stratum.label + stratum.screened * _SCREENED + (stratum.zone or 0) * _KEYS_A_ZONE


def _label(key: int) -> int:
    return key % _SCREENED


def _is_screened(key: int) -> bool:
    return key % _KEYS_A_ZONE >= _SCREENED


def screened_pixels(path: Path) -> Path | None:
    """Raster of the screened pixels beside a map; None if no pixel of the map was screened, or without such a file.

    Raises:
        RasterError: The map cannot be opened.
    """
    with open_raster(path) as dataset:
        count = dataset.tags().get(SCREENED_TAG, "0")
    beside = path.with_name(f"{path.stem}{SCREENED_NAME}{path.suffix}")
    return beside if count != "0" and beside.is_file() else None


def numbered(keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sorted keys, (K,), and the index of each pixel's key among the sorted keys, (N,).

    The sorted keys may include keys that no pixel has.

    Args:
        keys: At least one key, in any shape.
    """
    lowest, highest = int(keys.min()), int(keys.max())
    if highest - lowest < _NARROW:
        return np.arange(lowest, highest + 1), keys.ravel() - lowest
    present, places = np.unique(keys, return_inverse=True)
    return present, places.ravel()


def class_names(path: Path, labels: Iterable[int]) -> dict[int, str]:
    """Names of the possible classes by value, including classes that do not occur in the map.

    Names come from the map's SEG_CLASSES tag. Without this tag, the classes are cropland and other; a map with more
    values has names such as "class 7".

    Args:
        path: The map.
        labels: Values that occur in the map.

    Raises:
        RasterError: The map cannot be opened, or its tag is damaged.
    """
    with open_raster(path) as dataset:
        text = dataset.tags().get(CLASSES_TAG)
    wanted = sorted(labels)
    if text is None:
        if {OTHER, CROPLAND}.issuperset(wanted):
            return {label: LABEL_NAMES[label] for label in (OTHER, CROPLAND)}
        return {label: f"class {label}" for label in wanted}
    try:
        names = {int(label): str(name) for label, name in sorted(dict(json.loads(text)).items())}
    except (TypeError, ValueError, RecursionError):
        names = {}
    if not names.keys() >= set(wanted):
        raise RasterError(
            f"{path}: its tag {CLASSES_TAG} does not contain a name for all values {wanted}; wanted JSON like "
            '{"0": "other", "2": "gained"}'
        )
    return names


def _whole_numbers(dataset: DatasetReader, band: int, window: Window) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    values, valid = read_band(dataset, band, window)
    with np.errstate(invalid="ignore"):
        numbers = values.astype(np.int64)
    wrong = valid & (numbers != values)
    if wrong.any():
        raise RasterError(
            f"{dataset.name}: has the value {values[wrong][0]:g}; wanted whole numbers, one for each class or zone"
        )
    numbers[~valid] = 0
    return numbers, valid


def _require_classes(path: Path, values: NDArray[np.int64]) -> None:
    if values.min(initial=0) < 0 or values.max(initial=0) > IGNORE:
        beyond = values.min() if values.min() < 0 else values.max()
        raise RasterError(f"{path}: has the value {beyond}; wanted classes 0 to 254 (255 or nodata: no class)")
