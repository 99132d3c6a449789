"""Read a pair window by window: map, reference, fold and probabilities of one scene."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.io import DatasetReader
from rasterio.windows import Window

from seg.evaluation.pairs import FoldSelection, Pair, is_vector
from seg.evaluation.settings import EvaluationSettings
from seg.labels import CROPLAND, IGNORE
from seg.raster.chips import ByteMask, read_band
from seg.raster.classes import read_classes
from seg.raster.grid import (
    Grid,
    open_raster,
    placed_on,
    read_grid,
    require_same_grid,
)
from seg.raster.vectors.burning import NumberedPolygons, burn_window, label_layers
from seg.raster.vectors.features import open_labels
from seg.raster.vectors.placing import missed, read_parcels

ReadLabels = Callable[[Window], ByteMask]


@dataclass(frozen=True)
class Reference:
    """An open reference.

    Attributes:
        labels: Function that reads the labels of a window.
        parcels: Cropland polygons of a vector reference; None for a raster.
        missed: Number of polygons that cover no pixel centre, so that no label shows them.
    """

    labels: ReadLabels
    parcels: NumberedPolygons | None = None
    missed: int = 0


@dataclass(frozen=True)
class PairReader:
    """The open files of a pair.

    Attributes:
        grid: Grid of the map.
        mapped: Function that reads the classes of the map in a window.
        labels: Function that reads the labels of the reference in a window; IGNORE outside the fold.
        parcels: Cropland polygons of a vector reference; None for a raster.
        probability: The probability map; None without one.
        missed: Number of reference polygons that cover no pixel centre.
    """

    grid: Grid
    mapped: ReadLabels
    labels: ReadLabels
    parcels: NumberedPolygons | None
    probability: DatasetReader | None
    missed: int


@contextmanager
def open_pair(pair: Pair, settings: EvaluationSettings) -> Iterator[PairReader]:
    """Open a map and the files that it is compared with.

    Args:
        pair: The files.
        settings: Settings of the comparison.

    Raises:
        RasterError: A file cannot be read or lies on another grid.
    """
    grid = pair_grid(pair)
    with ExitStack() as opened:
        class_map = opened.enter_context(open_raster(pair.prediction))
        reference = opened.enter_context(open_reference(pair.reference, grid, settings))
        labels = reference.labels
        if pair.within is not None:
            folds = opened.enter_context(open_raster(pair.within.path))
            labels = _within_fold(labels, folds, pair.within)
        probability = opened.enter_context(open_raster(pair.probability)) if pair.probability else None
        parcels, unseen = reference.parcels, reference.missed
        yield PairReader(grid, lambda window: read_classes(class_map, window), labels, parcels, probability, unseen)


def pair_grid(pair: Pair) -> Grid:
    """Grid of a map; checks that all rasters of the pair have the same grid.

    Raises:
        RasterError: A raster lies on another grid or cannot be read.
    """
    grid = read_grid(pair.prediction)
    if not is_vector(pair.reference):
        require_same_grid(grid, placed_on(read_grid(pair.reference), grid))
    folds, strata = pair.within.path if pair.within else None, pair.strata.path if pair.strata else None
    for path in (pair.probability, folds, strata, pair.image):
        if path is not None and not is_vector(path):
            require_same_grid(placed_on(read_grid(path), grid), grid)
    return grid


@contextmanager
def open_reference(path: Path, grid: Grid, settings: EvaluationSettings) -> Iterator[Reference]:
    """Open the labels and parcels of a reference for windowed reading.

    Args:
        path: A raster on the grid, or a vector file, which is burnt onto the grid.
        grid: Grid of the map.
        settings: Meaning of raster values, and burning of polygons.

    Raises:
        RasterError: The file cannot be read, or its polygons cannot be placed.
    """
    if is_vector(path):
        burning = settings.vector
        parcels = read_parcels(open_labels(path, burning, "--vector.{}"), grid, burning.ignore_buffer)
        layers = label_layers(parcels, burning)
        cropland = NumberedPolygons(parcels.polygons[parcels.labels == CROPLAND])
        unseen = 0 if burning.all_touched else missed(parcels.polygons, grid)
        yield Reference(lambda window: burn_window(layers, window, burning.outside_label), cropland, unseen)
        return
    with open_raster(path) as dataset:
        yield Reference(lambda window: read_classes(dataset, window, settings.labels))


def in_fold(
    folds: DatasetReader, fold: int, window: Window | None = None, shape: tuple[int, int] | None = None
) -> NDArray[np.bool_]:
    """(H, W) bool, True for pixels of a fold.

    Args:
        folds: The open fold raster; its first band holds the fold numbers.
        fold: Number of the fold.
        window: Part of the raster; the whole raster by default.
        shape: Height and width to read at.
    """
    numbers, valid = read_band(folds, 1, window, shape)
    return np.asarray(valid & (numbers == fold))


def _within_fold(labels: ReadLabels, folds: DatasetReader, within: FoldSelection) -> ReadLabels:
    def read(window: Window) -> ByteMask:
        found = labels(window)
        found[~in_fold(folds, within.fold, window)] = IGNORE
        return found

    return read
