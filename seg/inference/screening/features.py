"""Features of the cells of a coarse grid: shares of bright, green and wet pixels in windows of several sizes.

The scene is averaged to coarse pixels first. A coarse pixel is bright if its mean reflectance is above a threshold,
green if its vegetation index (NDVI, near infrared against red) is, and wet if its water index (NDWI, green against near
infrared) is. Features depend on the pixels around a cell only, not on the blocks in which a scene is read.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from seg.package.screener import Numbers
from seg.raster.chips import BoolMask, FloatImage
from seg.raster.windows import round_up

PIXEL = 4
"""Side of a coarse pixel in pixels of the scene."""

CELL = 32
"""Side of a cell in pixels of the scene."""

RADII = (0, 1, 2, 3)
"""Radii of the windows around a cell, in cells; a window of radius 1 has 3 x 3 cells."""

SQUARE = 4
"""Side in cells of the smallest square that is screened; a smaller part of a scene is not worth leaving out."""

GEOMETRY = (PIXEL, CELL, *RADII, SQUARE)
"""Sizes on which the features of a screener depend."""

REACH = max(RADII) + SQUARE - 1
"""Largest distance in cells at which a pixel can change whether a cell is screened."""

FEATURES = 25
"""Number of features: the shares of six kinds of coarse pixels in four windows, and the share with data."""

KINDS = 6
"""Bright, green and wet pixels, and pixels with two of these properties."""

Counts = npt.NDArray[np.int64]
"""(1 + KINDS, rows, columns) numbers of coarse pixels of each cell: first those with data, then those of each kind."""


def grown_window(core: Window, height: int, width: int) -> Window:
    """Window of whole cells that holds a core and all pixels on which the screening of the core depends.

    Args:
        core: Pixels of a scene.
        height: Rows of the scene.
        width: Columns of the scene.
    """
    top, left = (max(start // CELL - REACH, 0) * CELL for start in (core.row_off, core.col_off))
    bottom = min(round_up(core.row_off + core.height, CELL) + REACH * CELL, height)
    right = min(round_up(core.col_off + core.width, CELL) + REACH * CELL, width)
    return Window(left, top, right - left, bottom - top)


def coarse_indices(image: FloatImage, valid: BoolMask, places: Sequence[int]) -> tuple[FloatImage, BoolMask]:
    """Brightness, vegetation index and water index of the coarse pixels of a window.

    Args:
        image: (C, H, W) in stored units; the window starts at a multiple of PIXEL.
        valid: (H, W) validity.
        places: Positions of green, red and near infrared among the bands.

    Returns:
        (3, h, w) indices, and (h, w) True for coarse pixels with data. Invalid pixels do not count in the means.
    """
    number = _sums(valid.astype(np.float32))
    known = number > 0
    number = np.maximum(number, 1)
    complete = bool(valid.all())
    bands = (image[place] if complete else np.where(valid, image[place], np.float32(0)) for place in places)
    green, red, infrared = (_sums(band) / number for band in bands)
    indices = np.stack([(green + red + infrared) / 3, _ratio(infrared, red), _ratio(green, infrared)])
    return indices, known


def cell_counts(indices: FloatImage, known: BoolMask, otsu: Sequence[float]) -> Counts:
    """Number of coarse pixels of each kind in each cell.

    Args:
        indices: (3, h, w) indices of a window that starts at a multiple of CELL.
        known: (h, w) True for coarse pixels with data.
        otsu: Thresholds of the three indices.
    """
    bright, green, wet = (
        known & (index > np.float32(threshold)) for index, threshold in zip(indices, otsu, strict=True)
    )
    kinds = np.stack([known, bright, green, wet, bright & green, bright & wet, green & wet])
    side = CELL // PIXEL
    rows, columns = (round_up(length, side) for length in known.shape)
    padded = np.zeros((len(kinds), rows, columns), dtype=np.uint8)
    padded[:, : known.shape[0], : known.shape[1]] = kinds
    return np.asarray(padded.reshape(len(kinds), rows // side, side, columns // side, side).sum(axis=(2, 4)), np.int64)


def cell_features(counts: Counts) -> Numbers:
    """(N, FEATURES) features of all cells of a window, row by row.

    Windows around a cell are cut off at the edges of `counts`, so these must be the edges of the scene, or the cells
    near them do not matter.
    """
    cells = np.ones((1, *counts.shape[1:]), dtype=np.int64)
    columns = []
    for radius in RADII:
        found = _window_sums(counts, radius)
        columns.append(found[1:] / np.maximum(found[:1], 1))
    whole = _window_sums(cells, RADII[-1]) * (CELL // PIXEL) ** 2
    columns.append(found[:1] / whole)
    return np.concatenate(columns).reshape(FEATURES, -1).T


def _sums(values: FloatImage) -> FloatImage:
    """(h, w) sums over squares of PIXEL x PIXEL; squares at the lower and right edges may be smaller.

    Values are added in a fixed order, so that a sum does not depend on the size of the window.
    """
    rows = _every(values, 0)
    return _every(rows, 1)


def _every(values: FloatImage, axis: int) -> FloatImage:
    length = values.shape[axis]
    if length % PIXEL:
        values = np.pad(values, [(0, -length % PIXEL if axis == at else 0) for at in (0, 1)])
    strided = [values[start::PIXEL] if axis == 0 else values[:, start::PIXEL] for start in range(PIXEL)]
    total = strided[0] + strided[1]
    for part in strided[2:]:
        total += part
    return total


def _ratio(first: FloatImage, second: FloatImage) -> FloatImage:
    """(first - second) / (first + second); 0 where the sum is 0."""
    total = first + second
    return np.asarray(np.divide(first - second, total, out=np.zeros_like(total), where=total != 0))


def _window_sums(counts: Counts, radius: int) -> Counts:
    """Sums over windows of (2 radius + 1)² cells around each cell, cut off at the edges."""
    _, rows, columns = counts.shape
    sums = np.pad(counts.cumsum(axis=1).cumsum(axis=2), ((0, 0), (1, 0), (1, 0)))
    (top, bottom), (left, right) = (
        (np.maximum(np.arange(length) - radius, 0), np.minimum(np.arange(length) + radius + 1, length))
        for length in (rows, columns)
    )
    below, above = sums[:, bottom], sums[:, top]
    return np.asarray(below[:, :, right] - above[:, :, right] - below[:, :, left] + above[:, :, left])
