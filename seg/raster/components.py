"""Connected components of a raster, labelled window by window; the result does not depend on the windows."""

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
    """Union-find structure over the numbers 0, 1, ...; the root of a set is its smallest number."""

    def __init__(self) -> None:
        self._parents = array("q")

    def __len__(self) -> int:
        return len(self._parents)

    def add(self, count: int) -> None:
        """Append new numbers, each in a set of its own.

        Args:
            count: Number of sets to append.
        """
        self._parents.extend(range(len(self), len(self) + count))

    def join(self, pairs: Ids) -> None:
        """Merge the sets of the two numbers of each pair.

        Args:
            pairs: (N, 2) existing numbers.
        """
        for one, other in pairs.tolist():
            first, second = sorted((self._root(one), self._root(other)))
            self._parents[second] = first

    def roots(self) -> Ids:
        """Root of the set of each number, (N,)."""
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

    The windows tile the raster row by row, from left to right; the windows of a row have the same top and height.
    Memory holds two labels for each raster column, and the sets of labels.

    Args:
        width: Columns of the raster.
        diagonal: True for 8-connectivity, False for 4-connectivity.

    Attributes:
        sets: Sets of merged labels; label 0 is background and never merged.
        above: (width + 2,) labels of the pixel row above the current row of windows, padded by one column of 0 on each
            side.
    """

    def __init__(self, width: int, diagonal: bool = False) -> None:
        self.sets = UnionFind()
        self.sets.add(1)
        self.above = np.zeros(width + 2, dtype=np.int64)
        self._below = np.zeros(width + 2, dtype=np.int64)
        self._left: Ids = np.zeros(0, dtype=np.int64)
        self._steps = (-1, 0, 1) if diagonal else (0,)

    def add(self, window: Window, sides: Sides, where: tuple[BoolMask, BoolMask] | None = None) -> None:
        """Merge the labels of a window with touching labels of the windows above and to the left.

        Args:
            window: The next window.
            sides: Labels along the sides of that window.
            where: Pixels of the top row and of the left column whose labels may be merged; None for all.
        """
        top, left, bottom, right = sides
        columns = np.arange(window.col_off, window.col_off + window.width)
        if window.row_off > 0:
            for step in self._steps:
                self._join(self.above[columns + 1 + step], top, None if where is None else where[0])
        if window.col_off > 0:
            padded = np.pad(self._left, 1)
            for step in self._steps:
                neighbours = padded[1 + step : 1 + step + window.height]
                self._join(neighbours, left, None if where is None else where[1])
        self._below[columns + 1] = bottom
        self._left = right.astype(np.int64)

    def end_row(self) -> None:
        """Finish a row of windows; its bottom labels become `above` for the next row."""
        self.above, self._below = self._below, np.zeros_like(self._below)

    def _join(self, neighbours: Ids, labels: npt.NDArray[np.integer], where: BoolMask | None) -> None:
        touching = (neighbours > 0) & (labels > 0)
        if where is not None:
            touching &= where
        self.sets.join(np.unique(np.stack([neighbours[touching], labels[touching]], axis=1), axis=0))


class ComponentLabels:
    """Label the 4-connected components of a raster window by window.

    Memory holds the labels of one pixel row of the raster and of one pixel column of a window. It also holds one number
    for each component in each window. The caller keeps the provisional labels and converts them to final labels after
    the last window:

        parts = [components.label(window, inside) for window in windows]
        whole = [components.final()[part] for part in parts]

    Args:
        width: Columns of the raster.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._seams = Seams(width)

    def label(self, window: Window, inside: BoolMask) -> Ids:
        """Provisional labels of a window, (H, W): 0 for background, and positive labels that no other window has.

        Args:
            window: The next window; the windows tile the raster as in `Seams`.
            inside: (H, W) True for pixels of components.
        """
        count, local = cv2.connectedComponents(inside.astype(np.uint8), connectivity=4, ltype=cv2.CV_32S)
        labels = local.astype(np.int64)
        np.add(labels, len(self._seams.sets) - 1, out=labels, where=inside)  # three times as fast as indexing
        self._seams.sets.add(count - 1)
        self._seams.add(window, (labels[0], labels[:, 0], labels[-1], labels[:, -1]))
        if window.col_off + window.width == self._width:
            self._seams.end_row()
        return labels

    def final(self) -> Ids:
        """Final label of each provisional label, (N,); 0 stays 0, and components are numbered from 1 without gaps."""
        numbers: Ids = np.unique(self._seams.sets.roots(), return_inverse=True)[1]
        return numbers
