"""Choose the block size that finishes a scene soonest within the available memory."""

import math
import operator
from bisect import bisect_left
from typing import NamedTuple

from seg.raster.windows import Span, core_spans, evened_spans, round_up

SMALLEST = 128
"""Smallest side of a core in pixels, even with little memory; smaller blocks would be mostly halo."""

USUAL = 1024
"""Side in pixels of blocks without a halo. At this side, the fixed cost of a block is 10 % of the time of a trivial
network; in smaller blocks, its share is larger. In larger blocks, reading and writing overlap less with computing."""

ALONE = 0.03
"""Time for reading and writing a pixel, relative to the time for computing a pixel. It is added for the pixels of one
block, since nothing is computed while the first block is read and while the last block is written. For
`dilated_small_8` on two threads, a megapixel takes about 0.04 s to read and write, and 1.4 s to compute."""

BLOCK = 10_000
"""Fixed cost of a block, relative to the time for computing a pixel; about 10 ms."""


class BlockSize(NamedTuple):
    """Size of the blocks into which a scene is cut.

    Attributes:
        height: Rows in pixels.
        width: Columns in pixels.
        read: True if this is the size that a block reads, including its halo; False if it is the size of a core.
    """

    height: int
    width: int
    read: bool = False

    @property
    def record(self) -> int | list[int]:
        """The size as a JSON value: side of square cores, or height and width that blocks read."""
        return [self.height, self.width] if self.read else self.height

    def spans(self, shape: tuple[int, int], halo: int) -> tuple[list[Span], list[Span]]:
        """Spans that cut the rows and the columns of a scene into blocks; `shape` is the scene's height and width."""
        cut = evened_spans if self.read else core_spans
        return cut(shape[0], self.height, halo), cut(shape[1], self.width, halo)

    def holds(self, shape: tuple[int, int]) -> bool:
        """True if a scene fits into one block; `shape` is the scene's height and width."""
        return shape[0] <= self.height and shape[1] <= self.width

    def text(self, halo: int) -> str:
        """Size and halo in words, as in "1024, halo 200"."""
        if self.read:
            return f"{self.width}x{self.height}, halo {halo} included"
        return f"{self.height}, halo {halo}"


class Cutting(NamedTuple):
    """Number of pixels that the blocks of a scene read.

    Attributes:
        computed: Number of pixels of all blocks, halos included.
        largest: Number of pixels of the largest block.
    """

    computed: int
    largest: int


def square(side: int) -> BlockSize:
    """Size of blocks with equal square cores."""
    return BlockSize(side, side)


def recorded_size(record: object) -> BlockSize | None:
    """Block size from a stored `record`; None if the value does not describe a size."""
    if isinstance(record, int):
        return square(record)
    if isinstance(record, list) and len(record) == 2 and all(isinstance(side, int) for side in record):
        return BlockSize(record[0], record[1], read=True)
    return None


def automatic_size(shape: tuple[int, int], halo: int, alignment: int, pixels: int) -> BlockSize:
    """Block size that finishes a scene soonest; a core is at least as large as the halo, even with little memory.

    A scene that fits into the memory is one block without a halo. In other scenes, the blocks read equal parts of the
    height and equal parts of the width. The two numbers of parts may differ, since two wide blocks have fewer pixels in
    halos than four square blocks.

    Args:
        shape: Height and width of the scene in pixels.
        halo: Context around a core in pixels.
        alignment: Sides are multiples of this number.
        pixels: Number of pixels that a block may read, including its halo.
    """
    if math.prod(shape) <= pixels:
        return square(round_up(max(shape), alignment))
    heights, widths = (_equal_reads(length, halo, alignment) for length in shape)
    fitting: list[tuple[float, BlockSize]] = []
    for rows, height in enumerate(heights, start=1):
        # The list of widths decreases, so bisection finds the fewest columns that fit. Up to three further columns are
        # tried, since smaller blocks let computing start sooner.
        fewest = bisect_left(widths, -(pixels // height), key=operator.neg) + 1
        for columns, width in enumerate(widths[fewest - 1 : fewest + 3], start=fewest):
            computed = (shape[0] + 2 * halo * (rows - 1)) * (shape[1] + 2 * halo * (columns - 1))
            cost = computed + ALONE * height * width + BLOCK * rows * columns
            fitting.append((cost, BlockSize(height, width, read=True)))
    smallest = BlockSize(heights[-1], widths[-1], read=True)
    return min(fitting, default=(0, smallest))[1]


def usual_size(shape: tuple[int, int], alignment: int, pixels: int) -> BlockSize:
    """Size of blocks without a halo.

    Args:
        shape: Height and width of the scene in pixels.
        alignment: The side is a multiple of this number.
        pixels: Number of pixels that a block may read.
    """
    side = min(round_up(USUAL, alignment), math.isqrt(pixels) // alignment * alignment)
    return square(min(max(side, round_up(SMALLEST, alignment)), round_up(max(shape), alignment)))


def cutting(shape: tuple[int, int], size: BlockSize, halo: int) -> Cutting:
    """Number of pixels that the blocks of a scene read."""
    rows, columns = ([len(span.read) for span in spans] for spans in size.spans(shape, halo))
    return Cutting(sum(rows) * sum(columns), max(rows) * max(columns))


def _equal_reads(length: int, halo: int, alignment: int) -> list[int]:
    """Pixels along an axis that a block reads, including its halo, for 1, 2, ... blocks along that axis."""
    smallest = round_up(max(SMALLEST, halo + 1), alignment)
    reads, parts = [round_up(length, alignment)], 2
    # With two blocks, each has a halo on one side; with more, inner blocks have halos on both sides.
    while (read := _equal_read(length, halo, alignment, parts)) >= smallest + min(parts - 1, 2) * halo:
        reads.append(read)
        parts += 1
    return reads


def _equal_read(length: int, halo: int, alignment: int, parts: int) -> int:
    return round_up(-(-(length + 2 * halo * (parts - 1)) // parts), alignment)
