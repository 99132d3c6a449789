"""Choose the block size that computes the fewest pixels within the available memory."""

import math
from collections.abc import Iterator
from typing import NamedTuple

from seg.raster.windows import core_spans, round_up

SMALLEST = 128
"""Smallest side of a core in pixels, even with little memory; smaller blocks would be mostly halo."""

USUAL = 1024
"""Side in pixels above which the fixed cost of a block is negligible: at most 10 % of the time of a trivial network."""

TILE_WORTH = 1.02
"""Accepted ratio of computed pixels to the smallest possible number, for a side that is a multiple of the tile."""


class Cutting(NamedTuple):
    """Cost of processing a scene in blocks of one size.

    Attributes:
        computed: Total number of computed pixels, including halos.
        size: Side of a core in pixels.
        largest: Number of pixels that the largest block reads.
    """

    computed: int
    size: int
    largest: int


def automatic_size(shape: tuple[int, int], halo: int, alignment: int, pixels: int, tile: int) -> int:
    """Side of a core that minimises the number of computed pixels; at least the halo, even with little memory.

    The candidates divide the height or the width into equal parts, so that no block is a sliver, or are multiples of
    the output's tile. A multiple of the tile is preferred if it costs hardly more, and sides of at least 1024 among
    these multiples.

    Args:
        shape: Height and width of the scene in pixels.
        halo: Context around a core in pixels.
        alignment: The side is a multiple of this number.
        pixels: Number of pixels that a block may read, including its halo.
        tile: Side of the output's internal tiles in pixels.
    """
    whole = round_up(max(shape), alignment)
    if math.prod(shape) <= pixels:
        return whole  # one block, which needs no halo
    smallest = min(round_up(max(SMALLEST, halo), alignment), whole)
    tiled = math.lcm(alignment, tile)
    # In a long, narrow scene, a core may be longer than the square root of `pixels`.
    widest = min(max(math.isqrt(pixels), pixels // min(shape), smallest), whole)
    fitting = [
        found
        for size in {smallest, *_even_sizes(shape, alignment, smallest), *range(tiled, widest + 1, tiled)}
        if size >= smallest and (found := cutting(shape, size, halo)).largest <= pixels
    ]
    if not fitting:
        return smallest
    fewest = min(fitting)
    on_tiles = [
        found
        for found in fitting
        if found.size % tiled == 0 and found.computed <= TILE_WORTH * fewest.computed and not _sliver(shape, found.size)
    ]
    return min(on_tiles, default=fewest, key=lambda found: (-min(found.size, USUAL), found)).size


def cutting(shape: tuple[int, int], size: int, halo: int) -> Cutting:
    """Cost of processing a scene of a height and width in cores of one size."""
    rows, columns = ([len(span.read) for span in core_spans(length, size, halo)] for length in shape)
    return Cutting(sum(rows) * sum(columns), size, max(rows) * max(columns))


def _even_sizes(shape: tuple[int, int], alignment: int, smallest: int) -> Iterator[int]:
    for length in shape:
        for parts in range(1, length // smallest + 2):
            yield round_up(-(-length // parts), alignment)


def _sliver(shape: tuple[int, int], size: int) -> bool:
    """True if the last row or column of blocks is narrower than half of the others."""
    return any(length > size and 0 < length % size < size / 2 for length in shape)
