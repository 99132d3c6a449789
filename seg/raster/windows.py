"""Integer geometry of windows and blocks: how a scene is cut so that no cut shows."""

from collections.abc import Iterator
from dataclasses import dataclass

from rasterio.windows import Window


@dataclass(frozen=True)
class Block:
    """A unit of inference and of resuming.

    Attributes:
        row: Row of the block in the grid of blocks, from 0.
        column: Column of the block in the grid of blocks, from 0.
        core: The pixels that this block decides; cores tile the scene without overlap.
        read: The core with its halo, cut off at the scene's edges.
    """

    row: int
    column: int
    core: Window
    read: Window

    @property
    def name(self) -> str:
        """A file-safe name that is unique within the scene."""
        return f"r{self.row:05d}_c{self.column:05d}"

    @property
    def core_within_read(self) -> tuple[slice, slice]:
        """Rows and columns of the core, counted from the read window's corner."""
        top = self.core.row_off - self.read.row_off
        left = self.core.col_off - self.read.col_off
        return slice(top, top + self.core.height), slice(left, left + self.core.width)


def window_grid(height: int, width: int, size: int, stride: int) -> Iterator[Window]:
    """Windows of one size whose corners lie `stride` apart, row by row; the last ones are cut off at the edges.

    Args:
        height: Rows of the scene.
        width: Columns of the scene.
        size: Side of a window.
        stride: Distance between corners, at most `size` if no pixel may be left out.
    """
    for top in _corners(height, size, stride):
        for left in _corners(width, size, stride):
            yield Window(left, top, min(size, width - left), min(size, height - top))


def _corners(length: int, size: int, stride: int) -> range:
    return range(0, min(max(length - size + stride, 1), length), stride)


def plan_blocks(height: int, width: int, size: int, halo: int) -> list[Block]:
    """Blocks that cover a scene, row by row.

    Args:
        height: Rows of the scene.
        width: Columns of the scene.
        size: Side of a core; a multiple of the model's alignment, so that every block sees the same pixel phases.
        halo: Context read on each side of a core; a multiple of the same alignment.
    """
    blocks = []
    for core in window_grid(height, width, size, size):
        top, left = max(core.row_off - halo, 0), max(core.col_off - halo, 0)
        bottom = min(core.row_off + core.height + halo, height)
        right = min(core.col_off + core.width + halo, width)
        read = Window(left, top, right - left, bottom - top)
        blocks.append(Block(core.row_off // size, core.col_off // size, core, read))
    return blocks


def round_up(value: int, multiple: int) -> int:
    """The smallest multiple of `multiple` that is not below `value`."""
    return -(-value // multiple) * multiple
