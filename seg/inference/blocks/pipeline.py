"""The blocks of a scene, from its raster to the store: read ahead, computed, written behind."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path

import rasterio

from seg.inference import CACHE_MB
from seg.inference.blocks.layers import MapLayers
from seg.inference.compute.predictor import Estimate, PendingEstimate, Predictor
from seg.inference.planning.plan import Plan
from seg.inference.reading import BlockReader, block_reader
from seg.inference.settings import PredictionSettings
from seg.raster import CACHE_MB as CHIP_CACHE_MB
from seg.raster.chips import BoolMask, Chip
from seg.raster.grid import open_raster
from seg.raster.windows import Block, round_up
from seg.raster.writing.block_store import BlockStore
from seg.raster.writing.cog import TILE

READERS = 2
"""Threads that read. One decodes some 50 megapixels of four bands a second, less than a fast network computes."""

Report = Callable[[Plan, int], None]
Computed = tuple[Block, BoolMask, Estimate | None]
"""A block with the (H, W) validity of its core, and what is estimated of it; None where nothing is valid."""


@dataclass(frozen=True)
class Found:
    """What was found in blocks that somebody should hear of.

    Attributes:
        zero_pixels: Pixels taken as data that are 0 in every band: often the empty corners of a file that declares no
            nodata.
        damaged_pixels: Pixels that could not be read, and were mapped as nodata.
    """

    zero_pixels: int
    damaged_pixels: int


def run_blocks(
    plan: Plan, predictor: Predictor, settings: PredictionSettings, store: BlockStore, report: Report
) -> Found:
    """What was found in the blocks that the store lacks, once they are all in it.

    Two threads read the next blocks, each with a GDAL handle of its own, while this one computes and another writes the
    block before; so a few blocks are all that is in memory. An error in any of them, or an interrupt, ends all; what is
    computed by then is still written.

    Args:
        plan: How the scene is cut.
        predictor: The model.
        settings: Its threshold is a number, and its nodata value is the one that counts.
        store: Where finished blocks go.
        report: Called with the plan and the number of blocks in the store, before the first block and after each.

    Raises:
        RasterError: The scene cannot be read, or a block cannot be written.
    """
    readers = _reader_count(plan)
    todo = _largest_first([block for block in _in_turns(reading_order(plan), readers) if block.name not in store])
    done = len(plan.blocks) - len(todo)
    layers = MapLayers(float(settings.threshold or 0), predictor.uncertainty)
    zeros = _ZeroPixels()
    report(plan, done)
    sources = [block_reader(plan.grid, plan.bands, predictor, settings, plan.area) for _ in range(readers)]
    chips = _read_ahead(plan.grid.path, todo, sources)
    with ThreadPoolExecutor(max_workers=1) as writer, closing(chips):
        writing: Future[None] | None = None
        for block, valid, estimate in _computed(chips, predictor, zeros):
            if writing is not None:
                writing.result()
                done += 1
                report(plan, done)
            writing = writer.submit(_write, store, block, valid, estimate, layers)
        if writing is not None:
            writing.result()
            report(plan, done + 1)
    return Found(zeros.count, sum(source.damaged for source in sources))


class _ZeroPixels:
    """Counts the pixels taken as data that are 0 in every band."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, chip: Chip, core: tuple[slice, slice]) -> None:
        zero = chip.valid[core]
        for band in chip.image:
            zero = zero & (band[core] == 0)
            if not zero.any():
                return
        self.count += int(zero.sum())


def _largest_first(blocks: Sequence[Block]) -> list[Block]:
    """The blocks, one of the largest before all others, so that memory is taken once and in one piece."""
    largest = max(range(len(blocks)), key=lambda index: blocks[index].read.width * blocks[index].read.height, default=0)
    return [*blocks[largest : largest + 1], *blocks[:largest], *blocks[largest + 1 :]]


def _computed(chips: Iterator[tuple[Block, Chip]], predictor: Predictor, zeros: _ZeroPixels) -> Iterator[Computed]:
    started: deque[tuple[Block, BoolMask, PendingEstimate | None]] = deque()
    for block, chip in chips:
        core = block.core_within_read
        valid = chip.valid[core]
        pending = None
        if valid.any():
            zeros.add(chip, core)
            pending = predictor.start(chip.image)
        started.append((block, valid, pending))
        if len(started) > predictor.ahead:
            yield _awaited(*started.popleft())
    for earlier in started:
        yield _awaited(*earlier)


def _awaited(block: Block, valid: BoolMask, pending: PendingEstimate | None) -> Computed:
    return block, valid, None if pending is None else pending().within(block.core_within_read)


def _write(store: BlockStore, block: Block, valid: BoolMask, estimate: Estimate | None, layers: MapLayers) -> None:
    store.write(block.name, layers.pixels(valid, estimate))


class _Reader:
    """A thread that reads blocks with a GDAL handle of its own, which must not be shared between threads.

    Args:
        scene: The raster.
        source: What reads its blocks; for this thread alone.
    """

    def __init__(self, scene: Path, source: BlockReader) -> None:
        self.source = source
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._handles = ExitStack()
        self._dataset = self._thread.submit(lambda: self._handles.enter_context(source.open(scene)))

    def start(self, block: Block) -> Future[Chip]:
        """Begin to read a block, behind those before."""
        return self._thread.submit(lambda: self.source.read(self._dataset.result(), block))

    def close(self) -> None:
        """Close the handle, in its thread too."""
        self._thread.submit(self._handles.close).result()
        self._thread.shutdown()


def _read_ahead(
    scene: Path, blocks: Sequence[Block], sources: Sequence[BlockReader]
) -> Generator[tuple[Block, Chip], None, None]:
    """Each block with its pixels; meanwhile each thread reads the next block of its rows."""
    with ExitStack() as opened:
        readers = [opened.enter_context(closing(_Reader(scene, source))) for source in sources]
        ahead: deque[tuple[Block, Future[Chip]]] = deque()
        for block in blocks:
            ahead.append((block, readers[block.row % len(readers)].start(block)))
            if len(ahead) > len(readers):
                earlier, chip = ahead.popleft()
                yield earlier, chip.result()
        for block, chip in ahead:
            yield block, chip.result()


def _reader_count(plan: Plan) -> int:
    """How many threads read. More than one would read what overlaps from a server twice, and from strips too."""
    if plan.cache:
        return 1
    with open_raster(plan.grid.path) as dataset:
        return READERS if dataset.block_shapes[0][1] < dataset.width else 1


def _in_turns(blocks: Sequence[Block], readers: int) -> Sequence[Block]:
    """The blocks in the order in which readers come to them, each going along rows of its own."""
    if readers == 1:
        return blocks
    return sorted(blocks, key=lambda block: (block.row // readers, block.column, block.row))


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
