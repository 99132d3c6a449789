"""Convert corners to rings and polygons, in an order that does not depend on the blocks."""

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, connected_components

from seg.parcels.corners import Corners, Integers, lexical_order
from seg.raster.chips import Polygons


@dataclass(frozen=True)
class Outlines:
    """Rings of parcels on the pixel lattice, sorted by parcel; the first ring of a parcel is its shell (outer ring).

    A ring begins at the leftmost corner of its top row. On a north-up map, shells run counterclockwise and holes
    clockwise. The first vertex is not repeated at the end.

    Attributes:
        vertices: (N, 2) int64 column and row.
        rings: (R + 1,) index of the first vertex of each ring, followed by the number of vertices.
        parcels: (P + 1,) index of the first ring of each parcel, followed by the number of rings.
        numbers: (P,) numbers of the parcels, ascending.
    """

    vertices: Integers
    rings: Integers
    parcels: Integers
    numbers: Integers

    def polygons(self) -> Polygons:
        """(P,) polygons on the pixel lattice; x is the column, y is the row (downwards)."""
        ring_of_vertex = np.repeat(np.arange(len(self.rings) - 1), np.diff(self.rings))
        parcel_of_ring = np.repeat(np.arange(len(self.numbers)), np.diff(self.parcels))
        if not len(self.numbers):
            return np.empty(0, dtype=object)
        rings = shapely.linearrings(self.vertices.astype(np.float64), indices=ring_of_vertex)
        polygons: Polygons = shapely.polygons(rings, indices=parcel_of_ring)
        return polygons


def traced(corners: Corners) -> Outlines:
    """Outlines of parcels.

    Where a parcel touches itself at a vertex, the ring is split there, so that polygons are valid.

    Args:
        corners: Corners of whole, 4-connected parcels, as `summed` returns them.
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
    # The end of each ring is linked to the beginning of the next, so that one walk visits all rings.
    tails = back[heads]
    path = onward.copy()
    path[tails] = np.append(heads[1:], tails[-1])
    walk = breadth_first_order(_graph(path), heads[0], directed=True, return_predecessors=False)
    vertices = np.column_stack([every.column[walk], every.row[walk]])
    lengths = np.bincount(ring)[by_head]
    numbers, first_ring = np.unique(every.parcel[heads], return_index=True)
    return Outlines(vertices, _offsets(lengths), np.append(first_ring, len(heads)).astype(np.int64), numbers)


def noded(polygons: Polygons) -> Polygons:
    """Add a vertex to an edge where a corner of another polygon lies on the edge; shared edges then match.

    Args:
        polygons: (P,) on the pixel lattice, with edges along rows and columns.
    """
    coordinates, ring = shapely.get_coordinates(rings := shapely.get_rings(polygons), return_index=True)
    if not len(rings):
        return polygons
    vertices = coordinates.astype(np.int64)
    edges = np.flatnonzero(ring[1:] == ring[:-1])
    start, end = vertices[edges], vertices[edges + 1]
    inserted, owner = [], []
    for along in (0, 1):
        # Vertices are sorted along lattice lines, so all vertices on an edge lie between the two ends of the edge.
        key = vertices[:, 1 - along] * (vertices.max() + 1) + vertices[:, along]
        lines, places = np.unique(key, return_index=True)
        on = np.flatnonzero(start[:, 1 - along] == end[:, 1 - along])
        base = start[on, 1 - along] * (vertices.max() + 1)
        low = np.searchsorted(lines, base + np.minimum(start[on, along], end[on, along]), side="right")
        high = np.searchsorted(lines, base + np.maximum(start[on, along], end[on, along]), side="left")
        count = high - low
        step = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        inserted.append(vertices[places[np.repeat(low, count) + step]])
        owner.append(edges[np.repeat(on, count)])
    if not sum(map(len, owner)):
        return polygons
    return _with_vertices(polygons, vertices, np.concatenate(inserted), np.concatenate(owner))


def _with_vertices(polygons: Polygons, vertices: Integers, inserted: Integers, edge: Integers) -> Polygons:
    """Insert vertices into edges; the number of an edge is the index of its first vertex."""
    from_start = np.abs(inserted - vertices[edge]).sum(axis=1)
    place = np.concatenate([np.arange(len(vertices)), edge])
    order = np.lexsort((np.concatenate([np.zeros(len(vertices), np.int64), from_start]), place))
    every = np.concatenate([vertices, inserted])[order].astype(np.float64)
    _, _, (ring_offsets, polygon_offsets) = shapely.to_ragged_array(polygons)
    moved = np.searchsorted(place[order], ring_offsets)
    noded: Polygons = shapely.from_ragged_array(shapely.GeometryType.POLYGON, every, (moved, polygon_offsets))
    return noded


def _onward(every: Corners, second: NDArray[np.bool_]) -> Integers:
    """(N,) index of the next corner of each corner's ring; the parcel lies to the left of the ring.

    Along a lattice row, the first corner of a parcel is linked to the second, the third to the fourth, and so on; the
    same holds along columns. The ring leaves a corner of positive weight along its column, and any other corner along
    its row.
    """
    count = len(every)
    along_row = np.arange(count) ^ 1
    # If two corners lie at one vertex, the first corner is linked to the left. If the two weights are positive, the
    # ring turns from left to below; if they are negative, it turns from left to above. Rings therefore do not cross
    # themselves at such a vertex.
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
