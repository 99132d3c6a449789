"""Integer geometry of windows, and of blocks with halos."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from rasterio.windows import Window


@dataclass(frozen=True)
class Block:
    """A core window and the larger window that is read for it: the unit of inference, of resuming and of validation.

    Attributes:
        row: Row of the block in the grid of blocks, from 0.
        column: Column of the block in the grid of blocks, from 0.
        core: The pixels that this block predicts; the cores of all blocks tile the scene without overlap.
        read: The core with its halo, cut off at the scene's edges.
    """

    row: int
    column: int
    core: Window
    read: Window

    @property
    def name(self) -> str:
        """A file-safe name, unique within the scene."""
        return f"r{self.row:05d}_c{self.column:05d}"

    @property
    def core_within_read(self) -> tuple[slice, slice]:
        """Slices of the core's rows and columns in an array of the read window."""
        top = self.core.row_off - self.read.row_off
        left = self.core.col_off - self.read.col_off
        return slice(top, top + self.core.height), slice(left, left + self.core.width)


class Span(NamedTuple):
    """One block along one axis, in pixels.

    Attributes:
        core: The pixels that the block predicts.
        read: The core with its halo, cut off at the scene's ends.
    """

    core: range
    read: range


def plan_blocks(height: int, width: int, size: int, halo: int) -> list[Block]:
    """Blocks that cover a scene, row by row.

    Args:
        height: Rows of the scene.
        width: Columns of the scene.
        size: Side of a core; a multiple of the model's alignment, so that downsampling groups the same pixels of the
            scene in every block.
        halo: Context read on each side of a core; a multiple of the same alignment.
    """
    return blocks_of(core_spans(height, size, halo), core_spans(width, size, halo))


def blocks_of(rows: Sequence[Span], columns: Sequence[Span]) -> list[Block]:
    """One block for each pair of a row span and a column span, row by row."""
    places = ((row, column) for row in range(len(rows)) for column in range(len(columns)))
    return [block_at(row, column, rows, columns) for row, column in places]


def block_at(row: int, column: int, rows: Sequence[Span], columns: Sequence[Span]) -> Block:
    """The block at a row and a column of the grid of blocks."""
    return Block(
        row,
        column,
        core=_window(rows[row].core, columns[column].core),
        read=_window(rows[row].read, columns[column].read),
    )


def core_spans(length: int, size: int, halo: int) -> list[Span]:
    """Spans along an axis; all cores have the same size, except that the last core may be shorter.

    Args:
        length: Pixels of the scene along the axis.
        size: Pixels of a core.
        halo: Context read on each side of a core, cut off at the scene's ends.
    """
    cores = (range(start, min(start + size, length)) for start in range(0, length, size))
    return [Span(core, range(max(core.start - halo, 0), min(core.stop + halo, length))) for core in cores]


def evened_spans(length: int, size: int, halo: int) -> list[Span]:
    """Spans along an axis that each read at most `size` pixels.

    Spans at the ends of the scene have a halo on one side only, so their cores are larger than the others. With larger
    cores at the ends, fewer spans cover the axis than with equal cores. If `size` and `halo` are multiples of an
    alignment, every core and every read window starts at a multiple of this alignment.

    Args:
        length: Pixels of the scene along the axis.
        size: Pixels that a span reads; more than two halos, unless one span covers the scene.
        halo: Context read on each side of a core, cut off at the scene's ends.
    """
    # The last core may be as large as the first one, `size - halo`.
    starts = [0, *range(size - halo, length - halo, max(size - 2 * halo, 1))]
    cores = [range(start, stop) for start, stop in pairwise([*starts, length])]
    return [Span(core, range(max(core.start - halo, 0), min(core.stop + halo, length))) for core in cores]


def read_spans(length: int, size: int, halo: int) -> list[Span]:
    """Spans along an axis with read windows of equal size.

    Args:
        length: Pixels of the scene along the axis; a scene shorter than `size` is one span.
        size: Pixels that a span reads.
        halo: Context read on each side of a core, cut off at the scene's ends; less than half of `size`.
    """
    last = max(length - size, 0)
    starts = [*range(0, last, size - 2 * halo), last]
    # Each core ends one halo before the end of its read window, and the next core starts there.
    ends = [start + size - halo for start in starts[:-1]] + [length]
    begins = [0, *ends[:-1]]
    return [
        Span(range(begin, end), range(start, min(start + size, length)))
        for begin, end, start in zip(begins, ends, starts, strict=True)
    ]


def window_grid(height: int, width: int, size: int, stride: int) -> Iterator[Window]:
    """Windows of one size whose corners lie `stride` apart, row by row; windows are cut off at the scene's edges.

    Args:
        height: Rows of the scene.
        width: Columns of the scene.
        size: Side of a window.
        stride: Distance between corners; if it is larger than `size`, pixels between windows are left out.
    """
    for top in _corners(height, size, stride):
        for left in _corners(width, size, stride):
            yield Window(left, top, min(size, width - left), min(size, height - top))


def joined(first: Window, second: Window) -> Window:
    """The smallest window that holds two windows."""
    top, left = min(first.row_off, second.row_off), min(first.col_off, second.col_off)
    bottom = max(first.row_off + first.height, second.row_off + second.height)
    right = max(first.col_off + first.width, second.col_off + second.width)
    return Window(left, top, right - left, bottom - top)


def round_up(value: int, multiple: int) -> int:
    """The smallest multiple of `multiple` that is at least `value`."""
    return -(-value // multiple) * multiple


def _window(rows: range, columns: range) -> Window:
    return Window(columns.start, rows.start, len(columns), len(rows))


def _corners(length: int, size: int, stride: int) -> range:
    return range(0, min(max(length - size + stride, 1), length), stride)
