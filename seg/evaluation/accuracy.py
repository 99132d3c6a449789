"""Compare a class map with a reference mask, window by window, in memory that does not depend on their size."""

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.io import DatasetReader
from rasterio.windows import Window
from rich.console import Console
from rich.progress import track

from seg.errors import RasterError
from seg.evaluation.confusion import ConfusionCounts, count_pixels
from seg.labels import IGNORE
from seg.raster.chips import read_band
from seg.raster.classes import read_classes
from seg.raster.grid import Grid, open_raster, placed_on, read_grid, require_same_grid
from seg.raster.windows import window_grid

WINDOW_SIZE = 2048
"""A multiple of the usual tile sizes, so that no tile is read twice; about 60 MB for three rasters of bytes."""

NAMED_FOLDS = 10


@dataclass(frozen=True)
class FoldSelection:
    """The part of a scene that a model did not see in training.

    Attributes:
        path: A raster on the reference's grid that holds a fold number a pixel.
        fold: Pixels of this fold are compared, others are not.
    """

    path: Path
    fold: int


@dataclass(frozen=True)
class Comparison:
    """What comparing a map with a reference found.

    Attributes:
        prediction: The class map.
        reference: The mask.
        within: The fold that was compared; None for the whole scene.
        counts: Pixels by mapped and true class.
        unmapped: Labelled pixels to which the map gives no value. They are in no score, so a map that leaves out what
            is hard would look better than it is: report this number beside the scores.
    """

    prediction: Path
    reference: Path
    within: FoldSelection | None
    counts: ConfusionCounts
    unmapped: int

    @property
    def labelled(self) -> int:
        """Labelled pixels in the compared area, mapped or not."""
        return self.counts.compared + self.unmapped


def count_confusion(
    prediction: Path, reference: Path, within: FoldSelection | None = None, window_size: int = WINDOW_SIZE
) -> Comparison:
    """The confusion counts of a map against a reference, over pixels that have a value in both.

    Args:
        prediction: Class map; OTHER, CROPLAND, and IGNORE, nodata or masked where it has no value.
        reference: Mask of the same values on the same grid, or without georeference and of the same size.
        within: Compare only the pixels of one fold.
        window_size: Side of the windows that are read, in pixels; it changes memory and time, not the counts.

    Raises:
        RasterError: A raster cannot be read, lies on another grid or holds other values, or nothing can be compared.
    """
    grid = _common_grid(prediction, reference, within)
    counts, unmapped = ConfusionCounts(), 0
    with ExitStack() as opened:
        class_map, mask = (opened.enter_context(open_raster(path)) for path in (prediction, reference))
        folds = opened.enter_context(open_raster(within.path)) if within else None
        for window in _with_progress(_windows(grid, window_size)):
            mapped, labels = read_classes(class_map, window), read_classes(mask, window)
            if within and folds:
                labels[~in_fold(folds, within.fold, window)] = IGNORE
            counts += count_pixels(mapped, labels)
            unmapped += int(np.count_nonzero((labels != IGNORE) & (mapped == IGNORE)))
    if counts.compared == 0:
        raise _nothing_compared(Comparison(prediction, reference, within, counts, unmapped), grid)
    return Comparison(prediction, reference, within, counts, unmapped)


def in_fold(
    folds: DatasetReader, fold: int, window: Window | None = None, shape: tuple[int, int] | None = None
) -> NDArray[np.bool_]:
    """Where an open fold raster holds a fold, (H, W).

    Args:
        folds: The raster; its first band holds the fold numbers.
        fold: The number.
        window: The whole raster by default.
        shape: Height and width to read at.
    """
    numbers, valid = read_band(folds, 1, window, shape)
    return np.asarray(valid & (numbers == fold))


def _common_grid(prediction: Path, reference: Path, within: FoldSelection | None) -> Grid:
    grid = placed_on(read_grid(reference), read_grid(prediction))
    for path in [prediction, *([within.path] if within else [])]:
        require_same_grid(read_grid(path), grid)
    return grid


def _windows(grid: Grid, size: int) -> list[Window]:
    return list(window_grid(grid.height, grid.width, size, size))


def _with_progress(windows: list[Window]) -> Iterable[Window]:
    console = Console(stderr=True)
    return track(windows, "Comparing", console=console, transient=True, disable=not console.is_terminal)


def _nothing_compared(comparison: Comparison, grid: Grid) -> RasterError:
    reference, within = comparison.reference, comparison.within
    if comparison.unmapped:
        return RasterError(
            f"{comparison.prediction}: has no value at any of the {comparison.unmapped} labelled pixels compared, "
            f"those of {reference}; give a map that covers them"
        )
    if within is None:
        return RasterError(f"{reference}: holds no labelled pixel, all are {IGNORE} or nodata; give a mask with labels")
    numbers = sorted(_labelled_folds(reference, within.path, grid))
    if not numbers:
        return RasterError(
            f"{within.path}: no pixel of any fold has a label in {reference}; give the scene's own folds"
        )
    named = ", ".join(f"{number:g}" for number in numbers[:NAMED_FOLDS]) + (", ..." if numbers[NAMED_FOLDS:] else "")
    return RasterError(
        f"{within.path}: fold {within.fold} has no labelled pixel of {reference}; folds that have labels: {named}"
    )


def _labelled_folds(reference: Path, path: Path, grid: Grid) -> set[float]:
    found: set[float] = set()
    with open_raster(reference) as mask, open_raster(path) as folds:
        for window in _windows(grid, WINDOW_SIZE):
            numbers, valid = read_band(folds, 1, window)
            found.update(np.unique(numbers[valid & (read_classes(mask, window) != IGNORE)]).tolist())
    return found
