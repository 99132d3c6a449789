"""Screen the core of a block: choose the cells that are mapped as other without computing the network."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rasterio.windows import Window

from seg.errors import PackageError
from seg.inference.screening.features import (
    CELL,
    GEOMETRY,
    SQUARE,
    Counts,
    cell_counts,
    cell_features,
    coarse_indices,
)
from seg.package.description import ModelPackage
from seg.package.screener import Numbers, Screener, read_screener
from seg.raster.chips import BoolMask, ByteMask, Chip


class ScreenedPixels(NamedTuple):
    """Result of screening for the pixels of a core.

    Attributes:
        screened: (H, W) True for pixels of screened cells.
        percent: (H, W) probability of cropland in percent; it counts in screened cells only.
    """

    screened: BoolMask
    percent: ByteMask


def chosen_screener(folders: Sequence[Path], packages: Sequence[ModelPackage]) -> Screener:
    """Screener of the first model that has one.

    Args:
        folders: Folder of each package.
        packages: Description of each model; all models take the same bands.

    Raises:
        PackageError: No model has a screener, or its file is damaged or belongs to another version.
    """
    for folder, package in zip(folders, packages, strict=True):
        screener = read_screener(folder, package)
        if screener is None:
            continue
        if screener.geometry != GEOMETRY:
            raise PackageError(
                f"{folder}: its screener was trained with the sizes {list(screener.geometry)}, but this version uses "
                f"{list(GEOMETRY)}; train it again with configs/screen.yaml, and add it with export.py --screener"
            )
        return screener
    raise PackageError(
        f"{folders[0]}: has no screener; train one with train.py fit --config configs/screen.yaml and add it with "
        "export.py --screener=FILE, or leave --screen out"
    )


def screen_core(screener: Screener, chip: Chip, window: Window, core: Window) -> ScreenedPixels:
    """Screen the pixels of a core.

    Args:
        screener: The network and its limits.
        chip: Pixels of the window.
        window: `grown_window` of the core, or a larger window that starts at a multiple of CELL or at the scene's edge.
        core: Pixels to screen, a part of the window.
    """
    indices, known = coarse_indices(chip.image, chip.valid, screener.places)
    counts = cell_counts(indices, known, screener.otsu)
    scores = cell_scores(screener, counts)
    top, left = core.row_off - window.row_off, core.col_off - window.col_off
    rows, columns = (
        np.arange(start, start + length) // CELL for start, length in ((top, core.height), (left, core.width))
    )
    with np.errstate(over="ignore"):
        percent = np.rint(100 / (1 + np.exp(-scores))).astype(np.uint8)
    place = np.ix_(rows, columns)
    return ScreenedPixels((scores <= screener.cut)[place], percent[place])


def cell_scores(screener: Screener, counts: Counts) -> Numbers:
    """(rows, columns) score of each cell; cells whose score is at most the screener's cut are screened.

    The score is the largest logit in a square of SQUARE x SQUARE cells around the cell; of all squares that hold the
    cell, the one with the smallest result counts. A cell is thus screened only together with a whole square, since a
    lone cell would be computed with its surroundings. Cells that are unlike the training cells have an infinite score,
    and cells without data do not count.
    """
    features, shape = cell_features(counts), counts.shape[1:]
    logits = np.where(screener.unlike(features), np.inf, screener.logits(features)).reshape(shape)
    return closed(np.where(counts[0] > 0, logits, -np.inf))


def closed(logits: Numbers) -> Numbers:
    """Smallest maximum over all squares of SQUARE x SQUARE cells that hold a cell, (rows, columns).

    Beyond the edges of the array lie no cells, so squares may reach beyond the edges.
    """
    largest = _over_squares(np.pad(logits, SQUARE - 1, constant_values=-np.inf), np.maximum)
    return _over_squares(largest, np.minimum)


def _over_squares(values: Numbers, join: np.ufunc) -> Numbers:
    """Maximum or minimum over each square of SQUARE x SQUARE values."""
    for axis in (0, 1):
        length = values.shape[axis] - SQUARE + 1
        parts = [values.take(range(start, start + length), axis) for start in range(SQUARE)]
        values = join.reduce(parts)
    return np.asarray(values, dtype=np.float64)
