"""The blocks of a scene, from its raster to the store: read ahead, computed, written behind."""

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np

from seg.inference.backends import Pending, Probability
from seg.inference.plan import Plan
from seg.inference.predictor import Predictor
from seg.inference.settings import PredictionSettings
from seg.labels import CROPLAND, IGNORE, OTHER
from seg.raster.chips import BoolMask, Chip, Reading, read_chip
from seg.raster.grid import open_raster
from seg.raster.store import BlockPixels, BlockStore
from seg.raster.windows import Block

Report = Callable[[Plan, int], None]
Computed = tuple[Block, BoolMask, Probability | None]
"""A block with the (H, W) validity and probability of its core; None where nothing is valid."""


def run_blocks(
    plan: Plan, predictor: Predictor, settings: PredictionSettings, store: BlockStore, report: Report
) -> int:
    """How many pixels taken as data are 0 in every band, once all blocks that the store lacks are in it.

    One thread reads the next block, with a GDAL handle of its own, while this one computes and a third writes the block
    before; so a few blocks are all that is in memory. An error in any of them, or an interrupt, ends all three; what is
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
    todo = _largest_first([block for block in plan.blocks if block.name not in store])
    done = len(plan.blocks) - len(todo)
    threshold = float(settings.threshold or 0)
    zeros = _ZeroPixels()
    report(plan, done)
    chips = _read_ahead(plan.grid.path, todo, Reading(plan.bands, predictor.package.mean, settings.nodata))
    with ThreadPoolExecutor(max_workers=1) as writer, closing(chips):
        writing: Future[None] | None = None
        for block, valid, probability in _computed(chips, predictor, zeros):
            if writing is not None:
                writing.result()
                done += 1
                report(plan, done)
            writing = writer.submit(_write, store, block, valid, probability, threshold)
        if writing is not None:
            writing.result()
            report(plan, done + 1)
    return zeros.count


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
    started: deque[tuple[Block, BoolMask, Pending | None]] = deque()
    for block, chip in chips:
        core = block.core_within_read
        zeros.add(chip, core)
        valid = chip.valid[core]
        started.append((block, valid, predictor.start(chip.image) if valid.any() else None))
        if len(started) > predictor.backend.ahead:
            yield _awaited(*started.popleft())
    for earlier in started:
        yield _awaited(*earlier)


def _awaited(block: Block, valid: BoolMask, pending: Pending | None) -> Computed:
    return block, valid, None if pending is None else pending()[block.core_within_read]


def _write(store: BlockStore, block: Block, valid: BoolMask, probability: Probability | None, threshold: float) -> None:
    store.write(block.name, _pixels(valid, probability, threshold))


def _pixels(valid: BoolMask, probability: Probability | None, threshold: float) -> BlockPixels:
    """The (2, H, W) uint8 classes and percents of a block's core."""
    if probability is None:
        return np.full((2, *valid.shape), IGNORE, dtype=np.uint8)
    pixels = np.empty((2, *valid.shape), dtype=np.uint8)
    pixels[0] = np.where(probability > threshold, np.uint8(CROPLAND), np.uint8(OTHER))
    pixels[1] = np.rint(probability * 100)
    np.copyto(pixels, np.uint8(IGNORE), where=~valid)
    return pixels


def _read_ahead(scene: Path, blocks: Sequence[Block], reading: Reading) -> Generator[tuple[Block, Chip], None, None]:
    """Each block with its pixels, the next one read in a thread of its own meanwhile."""
    handles = ExitStack()
    with ThreadPoolExecutor(max_workers=1) as reader:
        # Opened, read and closed in the reader's thread alone: a GDAL handle must not be shared between threads.
        dataset = reader.submit(lambda: handles.enter_context(open_raster(scene))).result()
        try:
            ahead: deque[tuple[Block, Future[Chip]]] = deque()
            for block in blocks:
                ahead.append((block, reader.submit(read_chip, dataset, block.read, reading)))
                if len(ahead) > 1:
                    earlier, chip = ahead.popleft()
                    yield earlier, chip.result()
            for block, chip in ahead:
                yield block, chip.result()
        finally:
            reader.submit(handles.close).result()
