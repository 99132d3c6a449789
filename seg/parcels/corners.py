"""Corners of labelled regions; outlines are traced from these corners.

The corners of a set of pixels determine its outline (O'Rourke, "Uniqueness of orthogonal connect-the-dots", in
Toussaint (ed.), Computational Morphology, 1988, pages 97-104). The vertices of the pixel lattice are the points at
which pixels meet, with whole columns and rows as coordinates. At a vertex between the pixels

    a b
    c d

a set has the weight [a] - [b] - [c] + [d], where [x] is 1 for a pixel of the set and 0 for any other pixel. The weight
is 0 on straight edges, 1 or -1 at a corner, and 2 or -2 where two corners meet. The weights of a union of disjoint
parts are the sums of the parts' weights. The corners of a parcel that is cut by blocks are therefore the sums of the
corners of its parts; corners along the cuts cancel. All sums are integers.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Labels = NDArray[np.int32]


@dataclass(frozen=True)
class Corners:
    """Corners of numbered parcels or of their parts.

    Attributes:
        parcel: (N,) number of the parcel.
        row: (N,) lattice row of the vertex; 0 is the upper edge of the first row of pixels.
        column: (N,) lattice column of the vertex; 0 is the left edge of the first column of pixels.
        weight: (N,) int8, -2 to 2.
    """

    parcel: Integers
    row: Integers
    column: Integers
    weight: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.parcel)

    def __getitem__(self, chosen: NDArray[np.bool_] | Integers | slice) -> "Corners":
        return Corners(self.parcel[chosen], self.row[chosen], self.column[chosen], self.weight[chosen])


def corners_of(labels: Labels, separate: bool, row: int = 0, column: int = 0) -> Corners:
    """Corners of each label in a window, as if there were no parcels outside the window.

    Args:
        labels: (H, W) labels of parcels; 0 where there is no parcel.
        separate: True if no two labels share an edge; the computation is then faster.
        row: Lattice row of the window's upper edge.
        column: Lattice column of the window's left edge.
    """
    padded = np.pad(labels, 1)
    seen = padded > 0 if separate else padded
    alike_across, alike_down = seen[:, :-1] == seen[:, 1:], seen[:-1] == seen[1:]
    straight = (alike_across[:-1] & alike_across[1:]) | (alike_down[:, :-1] & alike_down[:, 1:])
    vertex = np.flatnonzero(~straight)
    rows, columns = np.divmod(vertex, straight.shape[1])
    pixels, north_west = padded.ravel(), vertex + rows  # A padded row has one pixel more than it has vertices.
    a, b, c, d = (pixels[north_west + step] for step in (0, 1, padded.shape[1], padded.shape[1] + 1))
    weights = (
        (a, _ones(a) - (b == a) - (c == a) + (d == a)),
        (b, np.where(b == a, 0, (d == b) - _ones(b) - (c == b))),
        (c, np.where((c == a) | (c == b), 0, (d == c) - _ones(c))),
        (d, np.where((d == a) | (d == b) | (d == c), 0, _ones(d))),
    )
    kept = [np.flatnonzero((label != 0) & (weight != 0)) for label, weight in weights]
    return Corners(
        np.concatenate([label[index] for (label, _), index in zip(weights, kept, strict=True)]).astype(np.int64),
        np.concatenate([rows[index] for index in kept]) + row,
        np.concatenate([columns[index] for index in kept]) + column,
        np.concatenate([weight[index] for (_, weight), index in zip(weights, kept, strict=True)]).astype(np.int8),
    )


def concatenated(parts: list[Corners]) -> Corners:
    """Concatenate corners."""
    return Corners(
        np.concatenate([part.parcel for part in parts]),
        np.concatenate([part.row for part in parts]),
        np.concatenate([part.column for part in parts]),
        np.concatenate([part.weight for part in parts]),
    )


def summed(corners: Corners) -> Corners:
    """Sort corners by parcel, row and column; add the weights of a parcel's corners at one vertex; drop sums of 0."""
    ordered = corners[lexical_order(corners.parcel, corners.row, corners.column)]
    if not len(ordered):
        return ordered
    columns = (ordered.parcel, ordered.row, ordered.column)
    changes = np.any([values[1:] != values[:-1] for values in columns], axis=0)
    first = np.flatnonzero(np.concatenate([[True], changes]))
    weight = np.add.reduceat(ordered.weight, first, dtype=np.int8)
    merged = ordered[first]
    return Corners(merged.parcel, merged.row, merged.column, weight)[weight != 0]


def lexical_order(*keys: Integers) -> Integers:
    """(N,) indices that sort by the first key, then by the second key, and so on.

    Args:
        keys: Arrays of (N,) integers, 0 or more.
    """
    spans = [int(key.max(initial=0)) + 1 for key in keys]
    if math.prod(spans) > np.iinfo(np.int64).max:
        return np.lexsort(keys[::-1])
    combined = np.zeros(len(keys[0]), dtype=np.int64)
    for key, span in zip(keys, spans, strict=True):
        combined = combined * span + key
    return np.argsort(combined)  # Ten times faster than `lexsort`.


def _ones(like: Labels) -> NDArray[np.int8]:
    return np.ones(len(like), dtype=np.int8)
