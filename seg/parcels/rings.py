"""From corners to rings: each outline walked once, in the order that any cutting into blocks leads to."""

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, connected_components

from seg.parcels.corners import Corners, Integers, lexical_order


@dataclass(frozen=True)
class Outlines:
    """Rings of parcels on the pixel lattice, sorted by parcel; the first ring of each is its shell.

    A ring begins at the leftmost corner of its top row. Seen on the map, shells run counterclockwise and holes
    clockwise, and the first vertex is not repeated at the end.

    Attributes:
        vertices: (N, 2) int64: column and row.
        rings: (R + 1,) where each ring begins among the vertices, and the end.
        parcels: (P + 1,) where each parcel begins among the rings, and the end.
        numbers: (P,) the parcels' numbers, ascending.
    """

    vertices: Integers
    rings: Integers
    parcels: Integers
    numbers: Integers

    def polygons(self) -> NDArray[np.object_]:
        """(P,) polygons on the pixel lattice: x is the column, y the row downwards."""
        ring_of_vertex = np.repeat(np.arange(len(self.rings) - 1), np.diff(self.rings))
        parcel_of_ring = np.repeat(np.arange(len(self.numbers)), np.diff(self.parcels))
        if not len(self.numbers):
            return np.empty(0, dtype=object)
        rings = shapely.linearrings(self.vertices.astype(np.float64), indices=ring_of_vertex)
        polygons: NDArray[np.object_] = shapely.polygons(rings, indices=parcel_of_ring)
        return polygons


def traced(corners: Corners) -> Outlines:
    """The outlines of parcels.

    Where a parcel touches itself at a vertex, its rings part there, as valid polygons want it.

    Args:
        corners: Of whole parcels, each of one piece (4-connected), as `summed` gives them.
    """
    single = np.abs(corners.weight)
    second = np.zeros(int(single.sum()), dtype=bool)
    second[np.cumsum(single)[single == 2] - 1] = True
    every = corners[np.repeat(np.arange(len(corners)), single)]
    count = len(every)
    if not count:
        return Outlines(np.zeros((0, 2), np.int64), np.zeros(1, np.int64), np.zeros(1, np.int64), every.parcel)
    onward = _onward(every, second)
    _, ring = connected_components(_graph(onward), directed=True, connection="weak")
    head = np.empty(ring.max() + 1, dtype=np.int64)
    head[ring[::-1]] = np.arange(count)[::-1]
    by_head = np.argsort(head)
    heads = head[by_head]
    back = np.empty(count, dtype=np.int64)
    back[onward] = np.arange(count)
    # One path through all rings, the end of each linked to the beginning of the next, is walked in one go.
    tails = back[heads]
    path = onward.copy()
    path[tails] = np.append(heads[1:], tails[-1])
    walk = breadth_first_order(_graph(path), heads[0], directed=True, return_predecessors=False)
    vertices = np.column_stack([every.column[walk], every.row[walk]])
    lengths = np.bincount(ring)[by_head]
    numbers, first_ring = np.unique(every.parcel[heads], return_index=True)
    return Outlines(vertices, _offsets(lengths), np.append(first_ring, len(heads)).astype(np.int64), numbers)


def _onward(every: Corners, second: NDArray[np.bool_]) -> Integers:
    """The next corner of each, the parcel being on the left hand.

    Along a row of the lattice, the first corner of a parcel is linked to the second, the third to the fourth, and so
    on, and likewise along a column. Corners of positive weight are left along their column, others along their row.
    """
    count = len(every)
    along_row = np.arange(count) ^ 1
    # Of two corners at a vertex, the first is linked to the left. Rings must not cross themselves there: a pair of
    # positive weight turns from left to below, one of negative weight from left to above.
    below = second ^ (every.weight == 2)
    order = lexical_order(every.parcel, every.column, every.row, below)
    along_column = np.empty(count, dtype=np.int64)
    along_column[order] = order[np.arange(count) ^ 1]
    return np.where(every.weight > 0, along_column, along_row)


def _graph(onward: Integers) -> csr_array:
    count = len(onward)
    return csr_array((np.ones(count), onward, np.arange(count + 1)), shape=(count, count))


def _offsets(lengths: Integers) -> Integers:
    offsets: Integers = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return offsets
