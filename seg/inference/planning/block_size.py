"""The side of blocks that computes the fewest pixels within the memory there is."""

import math
from collections.abc import Iterator
from typing import NamedTuple

from seg.raster.windows import core_spans, round_up

SMALLEST = 128
"""A core below this is nearly all halo, whatever the memory; in pixels."""

USUAL = 1024
"""What a block costs besides its pixels shows in smaller ones: 10 % of the time of a network that costs nothing."""

TILE_WORTH = 1.02
"""How many times the fewest pixels are computed for a side that meets the output's tiles, at most."""


class Cutting(NamedTuple):
    """What cutting a scene by one side comes to.

    Attributes:
        computed: Pixels computed in all, halos included.
        size: Side of a core.
        largest: Pixels that the largest block reads.
    """

    computed: int
    size: int
    largest: int


def automatic_size(shape: tuple[int, int], halo: int, alignment: int, pixels: int, tile: int) -> int:
    """The side of a core for which the fewest pixels are computed; at least the halo, however little memory there is.

    Sides that divide height or width into equal parts are tried, so that no block is a sliver, and multiples of the
    output's tile, which win where they cost about as little; of those, sides of at least 1024.

    Args:
        shape: Height and width of the scene.
        halo: Context around a core.
        alignment: The side is a multiple of this.
        pixels: How many a block may read, halo included.
        tile: Side of the output's internal tiles.
    """
    whole = round_up(max(shape), alignment)
    if math.prod(shape) <= pixels:
        return whole  # one block, which needs no halo
    smallest = min(round_up(max(SMALLEST, halo), alignment), whole)
    tiled = math.lcm(alignment, tile)
    # In a long, thin scene a core may be wider than the root of what a block may read.
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
    """What cutting a scene of a height and width into cores of one side comes to; all in pixels."""
    rows, columns = ([len(span.read) for span in core_spans(length, size, halo)] for length in shape)
    return Cutting(sum(rows) * sum(columns), size, max(rows) * max(columns))


def _even_sizes(shape: tuple[int, int], alignment: int, smallest: int) -> Iterator[int]:
    for length in shape:
        for parts in range(1, length // smallest + 2):
            yield round_up(-(-length // parts), alignment)


def _sliver(shape: tuple[int, int], size: int) -> bool:
    """Whether the last row or column of blocks is less than half as wide as the others."""
    return any(length > size and 0 < length % size < size / 2 for length in shape)
