"""Combine the blocks of a composite. Threads read the next block and write the previous block at the same time."""

from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass

import numpy as np

from seg.imagery.composites.alignment import SceneReader
from seg.imagery.composites.combining import Pixels, combine_dates
from seg.imagery.composites.planning import READERS, CompositePlan
from seg.imagery.settings import Method
from seg.raster.chips import BoolMask
from seg.raster.windows import Block
from seg.raster.writing.block_store import BlockPixels, BlockStore


def combine_blocks(
    plan: CompositePlan, blocks: Sequence[Block], store: BlockStore, method: Method
) -> Generator[Block, None, None]:
    """Combine blocks, and yield each block when it is in the store.

    The store keeps the bytes of (C + 1, H, W) pixels. The last band is the number of valid inputs.

    Args:
        plan: Grid and inputs.
        blocks: The blocks to combine.
        store: Store of the finished blocks.
        method: Rule for each pixel.

    Raises:
        RasterError: An input cannot be read.
        WriteError: A block cannot be written.
    """
    with ThreadPoolExecutor(max_workers=1) as writer, closing(_read_ahead(plan, blocks)) as read:
        writing: tuple[Block, Future[None]] | None = None
        for block, values, valid in read:
            pixels = _combined(plan, values, valid, method)
            if writing is not None:
                writing[1].result()
                yield writing[0]
            writing = block, writer.submit(store.write, block.name, pixels)
        if writing is not None:
            writing[1].result()
            yield writing[0]


@dataclass(frozen=True)
class _StartedBlock:
    """A block that is being read by threads.

    Attributes:
        block: The block.
        values: (T, C, H, W) values of the scenes that reach the block.
        valid: (T, H, W) validity of these values.
        parts: One future for each thread; when all are finished, both arrays are complete.
    """

    block: Block
    values: Pixels
    valid: BoolMask
    parts: Sequence[Future[None]]

    def complete(self) -> tuple[Block, Pixels, BoolMask]:
        """Wait until both arrays are complete."""
        for part in self.parts:
            part.result()
        return self.block, self.values, self.valid


def _read_ahead(plan: CompositePlan, blocks: Sequence[Block]) -> Generator[tuple[Block, Pixels, BoolMask], None, None]:
    """Yield each block with its dates, while threads read the next block. Each thread has its own GDAL handles."""
    readers = [SceneReader(plan.scenes) for _ in range(min(READERS, len(plan.scenes)))]
    with ExitStack() as opened:
        threads = [opened.enter_context(ThreadPoolExecutor(max_workers=1)) for _ in readers]
        for thread, reader in zip(threads, readers, strict=True):
            opened.callback(_close, thread, reader)

        def start(block: Block) -> _StartedBlock:
            reaching = [number for number, scene in enumerate(plan.scenes) if scene.reaches(block.core)]
            shape = len(reaching), len(plan.bands.names), block.core.height, block.core.width
            values = np.zeros(shape, plan.bands.dtype)
            valid = np.zeros((shape[0], *shape[2:]), bool)

            def read(share: int) -> None:
                # A scene is always read by the same thread, which keeps its decoded tiles.
                for place, number in enumerate(reaching):
                    if number % len(readers) == share:
                        readers[share].read(number, block.core, values[place], valid[place])

            return _StartedBlock(
                block, values, valid, [thread.submit(read, share) for share, thread in enumerate(threads)]
            )

        ahead = start(blocks[0]) if blocks else None
        for following in [*blocks[1:], None]:
            if ahead is None:
                return
            complete = ahead.complete()
            ahead = start(following) if following is not None else None
            yield complete


def _close(thread: ThreadPoolExecutor, reader: SceneReader) -> None:
    """Close the handles of a reader in its thread."""
    thread.submit(reader.close).result()


def _combined(plan: CompositePlan, values: Pixels, valid: BoolMask, method: Method) -> BlockPixels:
    """The bytes of a finished block."""
    pixels = np.empty((values.shape[1] + 1, *values.shape[2:]), values.dtype)
    pixels[:-1], count = combine_dates(values, valid, method)
    if values.dtype.kind != "f":
        count = np.minimum(count, np.iinfo(values.dtype).max)
    pixels[-1] = count
    if plan.nodata is not None:
        _mark_nodata(pixels, plan.nodata)
    return pixels.view(np.uint8)


def _mark_nodata(pixels: Pixels, nodata: float) -> None:
    """Write the nodata value where no input is valid; a valid integer that equals the nodata value is changed by 1."""
    empty = pixels[-1] == 0
    for band in pixels[:-1]:
        if band.dtype.kind != "f" and (equal := (band == nodata) & ~empty).any():
            band[equal] = nodata + (1 if nodata < np.iinfo(band.dtype).max else -1)
        band[empty] = nodata
