"""Connected components of a raster that is read window by window; the windows do not change the result."""

from array import array

import cv2
import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from seg.raster.chips import BoolMask

Ids = npt.NDArray[np.int64]

Sides = tuple[npt.NDArray[np.integer], ...]
"""Labels along a window's top row, left column, bottom row and right column; 0 is background."""


class UnionFind:
    """Disjoint sets of the numbers 0, 1, ...; the smallest number of a set is its root."""

    def __init__(self) -> None:
        self._parents = array("q")

    def __len__(self) -> int:
        return len(self._parents)

    def add(self, count: int) -> None:
        """Append new sets of one number each.

        Args:
            count: Number of new sets.
        """
        self._parents.extend(range(len(self), len(self) + count))

    def join(self, pairs: Ids) -> None:
        """Merge the two sets of each pair.

        Args:
            pairs: (N, 2) numbers.
        """
        for one, other in pairs.tolist():
            first, second = sorted((self._root(one), self._root(other)))
            self._parents[second] = first

    def roots(self) -> Ids:
        """(N,) root of each number's set."""
        roots = np.array(self._parents, dtype=np.int64)
        while (roots != (further := roots[roots])).any():
            roots = further
        return roots

    def _root(self, number: int) -> int:
        parents = self._parents
        while parents[number] != number:
            parents[number] = parents[parents[number]]  # Path halving keeps later walks short.
            number = parents[number]
        return number


class Seams:
    """Merge labels that touch across window boundaries.

    Windows tile the raster row by row, from left to right; the windows of a row share top and height. Memory holds two
    numbers for each column of the raster, and the sets.

    Args:
        width: Columns of the raster.
        diagonal: True for 8-connectivity, False for 4-connectivity.

    Attributes:
        sets: Sets of merged numbers; 0 is not a number of any pixel.
        above: (width + 2,) numbers of the row above the current row of windows, with one column more on each side.
    """

    def __init__(self, width: int, diagonal: bool = False) -> None:
        self.sets = UnionFind()
        self.sets.add(1)
        self.above = np.zeros(width + 2, dtype=np.int64)
        self._below = np.zeros(width + 2, dtype=np.int64)
        self._left: Ids = np.zeros(0, dtype=np.int64)
        self._steps = (-1, 0, 1) if diagonal else (0,)

    def add(self, window: Window, sides: Sides, where: tuple[BoolMask, BoolMask] | None = None) -> None:
        """Merge the numbers of a window with those of its neighbours above and to the left.

        Args:
            window: The next window.
            sides: Its numbers.
            where: Pixels of the top row and the left column that may be merged; None for all.
        """
        top, left, bottom, right = sides
        columns = np.arange(window.col_off, window.col_off + window.width)
        if window.row_off > 0:
            for step in self._steps:
                self._join(self.above[columns + 1 + step], top, None if where is None else where[0])
        if window.col_off > 0:
            beside = np.pad(self._left, 1)
            for step in self._steps:
                neighbours = beside[1 + step : 1 + step + window.height]
                self._join(neighbours, left, None if where is None else where[1])
        self._below[columns + 1] = bottom
        self._left = right.astype(np.int64)

    def end_row(self) -> None:
        """Finish a row of windows: its bottom labels become `above` for the next row."""
        self.above, self._below = self._below, np.zeros_like(self._below)

    def _join(self, beyond: Ids, here: npt.NDArray[np.integer], where: BoolMask | None) -> None:
        touching = (beyond > 0) & (here > 0)
        if where is not None:
            touching &= where
        self.sets.join(np.unique(np.stack([beyond[touching], here[touching]], axis=1), axis=0))


class ComponentLabels:
    """Label the 4-connected components of a raster window by window.

    Memory holds one row of the raster, one column of a window, and a number for each component of each window, but no
    pixels. Final labels follow from provisional ones:

        parts = [components.label(window, inside) for window in windows]
        whole = [components.final()[part] for part in parts]

    Args:
        width: Columns of the raster.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._seams = Seams(width)

    def label(self, window: Window, inside: BoolMask) -> Ids:
        """Provisional labels of a window, (H, W): 0 outside, elsewhere numbers from 1 that no other window has.

        Args:
            window: Windows tile the raster row by row; the windows of a row share top and height.
            inside: (H, W) True in components.
        """
        count, local = cv2.connectedComponents(inside.astype(np.uint8), connectivity=4, ltype=cv2.CV_32S)
        labels = local.astype(np.int64)
        labels[inside] += len(self._seams.sets) - 1
        self._seams.sets.add(count - 1)
        self._seams.add(window, (labels[0], labels[:, 0], labels[-1], labels[:, -1]))
        if window.col_off + window.width == self._width:
            self._seams.end_row()
        return labels

    def final(self) -> Ids:
        """(N,) final label of each provisional label; 0 stays 0, components are numbered consecutively from 1."""
        numbers: Ids = np.unique(self._seams.sets.roots(), return_inverse=True)[1]
        return numbers
