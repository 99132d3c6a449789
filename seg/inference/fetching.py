"""Fetch each tile of a scene on a server once, although neighbouring blocks read it."""

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import rasterio

from seg.inference import CACHE_MB
from seg.inference.plan import Plan
from seg.raster import CACHE_MB as CHIP_CACHE_MB
from seg.raster.cog import TILE
from seg.raster.windows import Block, round_up


def tile_cache(plan: Plan) -> AbstractContextManager[object]:
    """Let GDAL keep as many decoded tiles as the plan says; whoever set GDAL_CACHEMAX keeps what they set."""
    ours = os.environ.get("GDAL_CACHEMAX") in {CACHE_MB, CHIP_CACHE_MB}
    # In bytes; for the whole process and at once, other than all other options.
    return rasterio.Env(GDAL_CACHEMAX=plan.cache) if plan.cache and ours else nullcontext()


def reading_order(plan: Plan) -> Sequence[Block]:
    """The blocks in an order in which what two of them read is still in the cache.

    Row by row; where a row of blocks reads more than the cache holds, strip by strip, as wide as it does hold. Only
    the tiles along the strips' edges are then fetched twice.
    """
    if not plan.cache:
        return plan.blocks
    grid = plan.grid
    read = plan.block_size + 2 * plan.halo + 2 * TILE  # to whole tiles, wherever they begin
    across = round_up(plan.block_size, TILE)
    # GDAL keeps all bands of a tile that holds them together, and a byte a pixel of a mask.
    column = read * across * (grid.bands * _bytes(grid.dtype) + 1)
    # Two columns more than a strip has: the block before, and the first of the next row.
    wide = max(plan.cache // column - 2, 1)
    return sorted(plan.blocks, key=lambda block: (block.column // wide, block.row, block.column))


def _bytes(dtype: str) -> int:
    digits = "".join(character for character in dtype if character.isdigit())
    return int(digits) // 8
