"""Pipeline over the blocks of a scene: reading, computing and writing run in parallel."""

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rasterio.io import DatasetReader

from seg.inference.blocks.layers import empty_pixels, layer_pixels
from seg.inference.blocks.pieces import start_core
from seg.inference.compute.predictor import Estimate, PendingEstimate, Predictor
from seg.inference.identity import RunIdentity
from seg.inference.planning.plan import Plan, Report
from seg.inference.reading import BlockData, BlockReader, block_reader
from seg.inference.screening.applying import ScreenedPixels
from seg.raster.chips import BoolMask, Chip
from seg.raster.gdal_options import gdal_options
from seg.raster.grid import open_raster
from seg.raster.windows import Block, round_up
from seg.raster.writing.block_store import BlockStore
from seg.raster.writing.cog import TILE

READERS = 2
"""Number of reading threads. One thread decodes about 50 megapixels of four bands per second. A fast network computes
more than 50 megapixels per second."""


@dataclass(frozen=True)
class Findings:
    """Problems in the pixels of a run, which are reported to the user.

    Attributes:
        zero_pixels: Pixels mapped as data although they are 0 in every band, often the empty corners of a file that
            declares no nodata value.
        damaged_pixels: Pixels that could not be read and were mapped as nodata.
        nodata_unmatched: True if all blocks were read and no pixel has the nodata value of the settings or the models.
        void_found: True if pixels became nodata because their values are too large for a measurement.
    """

    zero_pixels: int
    damaged_pixels: int
    nodata_unmatched: bool = False
    void_found: bool = False


def run_blocks(
    plan: Plan, predictor: Predictor, store: BlockStore, report: Report, readers: "Readers | None" = None
) -> Findings:
    """Compute all blocks that are not in the store yet.

    The calling thread computes a block. Meanwhile, up to two threads read the next blocks, each with its own GDAL
    handle, and one thread writes the previous block. Only a few blocks are in memory at a time. An error in any thread,
    or an interrupt, ends the run; a block that has been computed is still written.

    Args:
        plan: Blocks of the scene.
        predictor: Models and augmentation.
        store: Store of the finished blocks.
        report: Called with the plan and the number of blocks in the store, before the first block and after each block.
        readers: Open readers of the scene, which stay open; by default, readers are opened and closed.

    Raises:
        RasterError: The scene cannot be read, or a block cannot be written.
    """
    if readers is None:
        with closing(Readers(plan, predictor)) as opened:
            return run_blocks(plan, predictor, store, report, opened)
    readers.reset()
    todo = [block for block in _in_reader_order(reading_order(plan), len(readers)) if block.name not in store]
    done = len(plan.blocks) - len(todo)
    zeros = _ZeroPixels()
    report(plan, done)
    chips = readers.read_ahead(_largest_first(todo))
    with ThreadPoolExecutor(max_workers=1) as writer, closing(chips):
        writing: Future[None] | None = None
        for started in _start_ahead(chips, plan, predictor, zeros):
            estimate = started.estimate()
            if writing is not None:
                writing.result()
                done += 1
                report(plan, done)
            writing = writer.submit(_write, store, started, estimate, plan.scene.identity)
        if writing is not None:
            writing.result()
            report(plan, done + 1)
    found = any(source.nodata_found for source in readers.sources)
    unmatched = plan.scene.identity.nodata is not None and len(todo) == len(plan.blocks) and not found
    void_found = any(source.void_found for source in readers.sources)
    return Findings(zeros.count, sum(source.damaged for source in readers.sources), unmatched, void_found)


@dataclass(frozen=True)
class _StartedBlock:
    """A block whose computation has started.

    Attributes:
        block: The windows of the block.
        valid: (H, W) validity of the core.
        pending: Function that waits for the estimate of the core; None if no pixel of the core is valid and unscreened.
        screening: Result of screening for the core; None without a screener.
    """

    block: Block
    valid: BoolMask
    pending: PendingEstimate | None
    screening: ScreenedPixels | None = None

    def estimate(self) -> Estimate | None:
        """Wait for the estimate of the core; None if no pixel was computed."""
        return None if self.pending is None else self.pending()


def _start_ahead(
    chips: Iterator[BlockData], plan: Plan, predictor: Predictor, zeros: "_ZeroPixels"
) -> Iterator[_StartedBlock]:
    """Start blocks, and yield each block as soon as `predictor.ahead` further blocks are started."""
    # A single block has no halo, but its pieces need one. If the user chose the block size, blocks are not divided into
    # pieces.
    needed = plan.halo if plan.divided else predictor.receptive_field
    halo = needed if plan.scene.identity.asked_block_size == "auto" else None
    waiting: deque[_StartedBlock] = deque()
    for block, chip, screening in chips:
        core = block.core_within_read
        valid = chip.valid[core]
        pending = None
        if valid.any():
            zeros.add(chip, core)
            wanted = chip if screening is None else _without(chip, core, screening)
            if wanted.valid[core].any():
                pending = start_core(predictor, wanted, block, halo)
        waiting.append(_StartedBlock(block, valid, pending, screening))
        if len(waiting) > predictor.ahead:
            yield waiting.popleft()
    yield from waiting


def _without(chip: Chip, core: tuple[slice, slice], screening: ScreenedPixels) -> Chip:
    """A chip in which screened pixels of the core count as invalid, so that pieces leave them out."""
    valid = chip.valid.copy()
    valid[core] &= ~screening.screened
    return Chip(chip.image, valid)


def _write(store: BlockStore, started: _StartedBlock, estimate: Estimate | None, identity: RunIdentity) -> None:
    valid = started.valid
    if not valid.any():
        pixels = empty_pixels(valid.shape, identity.layers)
    else:
        found = _nothing(valid.shape, identity.uncertainty) if estimate is None else estimate
        pixels = layer_pixels(valid, found, identity.threshold, started.screening)
    store.write(started.block.name, pixels)


def _nothing(shape: tuple[int, int], uncertainty: bool) -> Estimate:
    """Estimate of a core whose valid pixels are all screened."""
    zeros = np.zeros(shape, np.float32)
    return Estimate(zeros, zeros if uncertainty else None)


class _ZeroPixels:
    """Counter of valid pixels that are 0 in every band."""

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
    """Move one of the largest blocks to the front, so that memory is allocated once and in one piece."""
    largest = max(range(len(blocks)), key=lambda index: blocks[index].read.width * blocks[index].read.height, default=0)
    return [*blocks[largest : largest + 1], *blocks[:largest], *blocks[largest + 1 :]]


class _Reader:
    """A thread that reads blocks with its own GDAL handle, since threads must not share handles.

    Args:
        scene: The raster.
        source: Reader of the scene's blocks, which no other thread uses.
    """

    def __init__(self, scene: Path, source: BlockReader) -> None:
        self.source = source
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._handles = ExitStack()
        self._dataset = self._thread.submit(self._open, scene)

    def _open(self, scene: Path) -> DatasetReader:
        # GDAL's options of the calling thread do not apply in this thread, so they are set again here.
        self._handles.enter_context(gdal_options(cache=None))
        return self._handles.enter_context(self.source.open(scene))

    def start(self, block: Block) -> Future[BlockData]:
        """Queue a block for reading and screening."""
        return self._thread.submit(lambda: self.source.read_screened(self._dataset.result(), block))

    def close(self) -> None:
        """Close the handle, in the thread that opened it."""
        self._thread.submit(self._handles.close).result()
        self._thread.shutdown()


class Readers:
    """Threads that read the blocks of one scene ahead of the computation.

    Args:
        plan: Plan of the scene.
        predictor: Models and augmentation.

    Attributes:
        sources: Reader of each thread, with its counts of unreadable pixels.
    """

    def __init__(self, plan: Plan, predictor: Predictor) -> None:
        self.sources = [block_reader(plan.scene, predictor) for _ in range(_reader_count(plan))]
        self._readers = [_Reader(plan.grid.path, source) for source in self.sources]

    def __len__(self) -> int:
        return len(self._readers)

    def reset(self) -> None:
        """Set the counts of all readers to zero."""
        for source in self.sources:
            source.damaged, source.nodata_found, source.void_found = 0, False, False

    def read_ahead(self, blocks: Sequence[Block]) -> Generator[BlockData, None, None]:
        """Yield the pixels of each block, while the threads read the next blocks."""
        ahead: deque[Future[BlockData]] = deque()
        try:
            for block in blocks:
                ahead.append(self._readers[block.row % len(self._readers)].start(block))
                if len(ahead) > len(self._readers):
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for data in ahead:
                data.cancel()

    def close(self) -> None:
        """Close the handles of all threads, and end the threads."""
        for reader in self._readers:
            reader.close()


def _reader_count(plan: Plan) -> int:
    """Number of reading threads; 1 for servers and for files in strips, where two threads would read data twice."""
    if plan.cache:
        return 1
    with open_raster(plan.grid.path) as dataset:
        return READERS if dataset.block_shapes[0][1] < dataset.width else 1


def _in_reader_order(blocks: Sequence[Block], readers: int) -> Sequence[Block]:
    """Order blocks so that the readers take turns; each reader reads its own rows of blocks."""
    if readers == 1:
        return blocks
    return sorted(blocks, key=lambda block: (block.row // readers, block.column, block.row))


def reading_order(plan: Plan) -> Sequence[Block]:
    """Order the blocks of a scene on a server so that few tiles are fetched more than once.

    Blocks are read row by row. If the tiles of a row of blocks do not fit into the cache, the scene is read in vertical
    strips as wide as the cache allows; only tiles along the edges of strips are then fetched twice.
    """
    if not plan.cache:
        return plan.blocks
    grid = plan.grid
    # The window may begin anywhere in a tile, so two more tiles are needed.
    read = max(block.read.height for block in plan.blocks) + 2 * TILE
    across = round_up(max(block.core.width for block in plan.blocks), TILE)
    # GDAL caches all bands of a pixel-interleaved tile, and one byte for each pixel of a mask.
    column = read * across * (grid.bands * _bytes(grid.dtype) + 1)
    # Besides the strip, the cache must hold two block columns: the previous block, and the first block of the next row.
    wide = max(plan.cache // column - 2, 1)
    return sorted(plan.blocks, key=lambda block: (block.column // wide, block.row, block.column))


def _bytes(dtype: str) -> int:
    digits = "".join(character for character in dtype if character.isdigit())
    return int(digits) // 8
