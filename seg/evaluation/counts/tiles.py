"""Confusion counts of the tiles of a scene; counts of blocks, scenes and worst windows are sums over tiles."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from seg.evaluation.counts.confusion import ConfusionCounts, count_pixels
from seg.labels import CROPLAND, IGNORE
from seg.raster.chips import ByteMask

Counts = npt.NDArray[np.int64]
"""(..., 5) numbers of pixels: tp, fp, fn, tn, and labelled pixels without a mapped class."""

KINDS = 5


class TileCounts:
    """Counts of the square tiles of a scene, filled window by window; 40 bytes per tile.

    Args:
        height: Rows of the scene.
        width: Columns of the scene.
        size: Side of a tile in pixels; tiles at the right and bottom edge are cut off.
    """

    def __init__(self, height: int, width: int, size: int) -> None:
        self.height, self.width, self.size = height, width, size
        self.counts: Counts = np.zeros((-(-height // size), -(-width // size), KINDS), dtype=np.int64)

    def add(self, window: Window, mapped: ByteMask, labels: ByteMask) -> None:
        """Add the counts of a window.

        Args:
            window: Any part of the scene.
            mapped: (H, W) classes of the map.
            labels: (H, W) labels of the reference.
        """
        for row, rows in _parts(window.row_off, window.height, self.size):
            for column, columns in _parts(window.col_off, window.width, self.size):
                classes, wanted = mapped[rows, columns], labels[rows, columns]
                found = count_pixels(classes, wanted)
                unmapped = np.count_nonzero((wanted <= CROPLAND) & (classes == IGNORE))
                self.counts[row, column] += (found.tp, found.fp, found.fn, found.tn, unmapped)

    def blocks(self, size: int) -> Counts:
        """Counts of blocks, (rows, columns, 5).

        Args:
            size: Side of a block in pixels, a multiple of the side of a tile.
        """
        step = size // self.size
        rows, columns = (np.arange(0, count, step) for count in self.counts.shape[:2])
        blocks: Counts = np.add.reduceat(np.add.reduceat(self.counts, rows, axis=0), columns, axis=1)
        return blocks

    @property
    def total(self) -> Counts:
        """Counts of the whole scene, (5,)."""
        total: Counts = self.counts.sum(axis=(0, 1))
        return total


@dataclass(frozen=True)
class WrongWindow:
    """A window of a scene that contains wrong pixels.

    Attributes:
        window: The window.
        counts: Confusion counts of its pixels.
    """

    window: Window
    counts: ConfusionCounts

    @property
    def errors(self) -> int:
        """Wrongly mapped pixels."""
        return self.counts.fp + self.counts.fn


def worst_windows(tiles: TileCounts, size: int, number: int) -> list[WrongWindow]:
    """Windows with the most wrong pixels, worst first; for equal numbers of wrong pixels, by row, then by column.

    Args:
        tiles: Counts of a scene.
        size: Side of a window in pixels, a multiple of the side of a tile.
        number: Largest number of windows to return; windows without an error are left out.
    """
    blocks = tiles.blocks(size)
    errors = blocks[..., 1] + blocks[..., 2]
    order = np.argsort(-errors, axis=None, kind="stable")[:number]
    found = []
    for row, column in zip(*np.unravel_index(order, errors.shape), strict=True):
        if errors[row, column]:
            top, left = int(row) * size, int(column) * size
            window = Window(left, top, min(size, tiles.width - left), min(size, tiles.height - top))
            found.append(WrongWindow(window, as_confusion(blocks[row, column])))
    return found


def as_confusion(counts: Counts) -> ConfusionCounts:
    """Convert (5,) counts to confusion counts."""
    return ConfusionCounts(*counts[:4].tolist())


def _parts(start: int, length: int, size: int) -> Iterator[tuple[int, slice]]:
    """Tiles that intersect a range of rows or columns: index of each tile, and part of the range inside the tile."""
    for tile in range(start // size, (start + length - 1) // size + 1):
        yield tile, slice(max(tile * size - start, 0), min((tile + 1) * size - start, length))
