"""Connected components of a raster that is seen window by window: the same ones, whatever the windows are."""

from array import array

import cv2
import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from seg.raster.chips import BoolMask

Ids = npt.NDArray[np.int64]


class UnionFind:
    """Disjoint sets of the numbers 0, 1, ...; the smallest number of a set stands for it."""

    def __init__(self) -> None:
        self._parents = array("q")

    def __len__(self) -> int:
        return len(self._parents)

    def add(self, count: int) -> None:
        """Make so many new sets of one number each."""
        self._parents.extend(range(len(self), len(self) + count))

    def join(self, pairs: Ids) -> None:
        """Join the sets of each pair, (N, 2)."""
        for one, other in pairs.tolist():
            first, second = sorted((self._root(one), self._root(other)))
            self._parents[second] = first

    def roots(self) -> Ids:
        """The number that stands for the set of each, (N,)."""
        roots = np.array(self._parents, dtype=np.int64)
        while (roots != (further := roots[roots])).any():
            roots = further
        return roots

    def _root(self, number: int) -> int:
        parents = self._parents
        while parents[number] != number:
            parents[number] = parents[parents[number]]
            number = parents[number]
        return number


class ComponentLabels:
    """Labels the 4-connected components of a raster window by window.

    Each window gets provisional labels at once; when all were seen, `final` tells which are of one component. Memory
    holds a number for each provisional label and for each column of the raster, but no pixels.

    Example:
        parts = [components.label(window, inside) for window in windows]
        whole = [components.final()[part] for part in parts]

    Args:
        width: Columns of the raster.
    """

    def __init__(self, width: int) -> None:
        self._sets = UnionFind()
        self._sets.add(1)
        self._above: Ids = np.zeros(width, dtype=np.int64)
        self._left: Ids = np.zeros(0, dtype=np.int64)

    def label(self, window: Window, inside: BoolMask) -> Ids:
        """The provisional labels of a window, (H, W): 0 outside, else numbers from 1 that no other window has.

        Args:
            window: Windows tile the raster row by row; those of a row share top and height.
            inside: (H, W) where components are.
        """
        count, local = cv2.connectedComponents(inside.astype(np.uint8), connectivity=4, ltype=cv2.CV_32S)
        labels = local.astype(np.int64)
        labels[inside] += len(self._sets) - 1
        self._sets.add(count - 1)
        columns = slice(window.col_off, window.col_off + window.width)
        if window.row_off > 0:
            self._join(self._above[columns], labels[0])
        if window.col_off > 0:
            self._join(self._left, labels[:, 0])
        self._above[columns], self._left = labels[-1], labels[:, -1].copy()
        return labels

    def final(self) -> Ids:
        """The component of each provisional label, (N,): 0 for 0, the components from 1 without gaps."""
        numbers: Ids = np.unique(self._sets.roots(), return_inverse=True)[1]
        return numbers

    def _join(self, before: Ids, here: Ids) -> None:
        touching = (before > 0) & (here > 0)
        self._sets.join(np.unique(np.stack([before[touching], here[touching]], axis=1), axis=0))
