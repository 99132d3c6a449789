"""Compare one map with its reference window by window; memory does not depend on the size of the map."""

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np

from seg.evaluation.counts.boundary import BoundaryCounts, Reach, Tolerances, count_boundary
from seg.evaluation.counts.confusion import PERCENTS, ConfusionCounts, Histogram, count_percents
from seg.evaluation.counts.parcels import ParcelCounts, ParcelOverlaps
from seg.evaluation.counts.strata import StratumCounts, open_strata
from seg.evaluation.counts.tiles import Counts, TileCounts, as_confusion
from seg.evaluation.pairs import Pair
from seg.evaluation.reading import PairReader, open_pair
from seg.evaluation.settings import EvaluationSettings
from seg.raster.chips import ByteMask
from seg.raster.classes import read_percent
from seg.raster.windows import Block, plan_blocks
from seg.terminal.text import counted

LOG = logging.getLogger(__name__)

Compared = tuple[Block, ByteMask, ByteMask, list[BoundaryCounts]]
"""A window with its mapped classes, its labels and its boundary counts."""

AHEAD = 2
"""Number of windows that are read ahead."""


@dataclass(frozen=True)
class Measures:
    """Settings of a comparison, with automatic values resolved for all scenes together.

    Attributes:
        settings: Options of the command line.
        tolerances: Distances at which boundaries are scored.
        block_size: Side in pixels of the blocks drawn for intervals.
        chip_size: Side in pixels of the windows listed as worst.
    """

    settings: EvaluationSettings
    tolerances: Tolerances
    block_size: int
    chip_size: int

    @property
    def tile_size(self) -> int:
        """Side in pixels of a tile; blocks and listed windows consist of tiles."""
        return min(self.block_size, self.chip_size)


@dataclass(frozen=True)
class SceneAccuracy:
    """Counts from comparing a map with its reference.

    Attributes:
        pair: The files.
        tiles: Confusion counts by tile.
        boundary: Boundary counts at each tolerance.
        parcels: Parcel counts, for matches and segmentation errors.
        strata: (5,) counts by name of the stratum, in the order of `TileCounts`.
        histogram: Pixels by label and percent; None without a probability map.
    """

    pair: Pair
    tiles: TileCounts
    boundary: list[BoundaryCounts]
    parcels: ParcelCounts
    strata: dict[str, Counts]
    histogram: Histogram | None

    @property
    def counts(self) -> ConfusionCounts:
        """Pixels by mapped and true class."""
        return as_confusion(self.tiles.total)

    @property
    def unmapped(self) -> int:
        """Number of labelled pixels without a mapped class.

        The scores do not include these pixels, so a map that leaves out difficult areas seems better than it is. Report
        this number with the scores.
        """
        return int(self.tiles.total[-1])


def measure_scene(pair: Pair, measures: Measures, advance: Callable[[], None] = lambda: None) -> SceneAccuracy:
    """Compare a map with its reference over the pixels that have a class in map and reference.

    Args:
        pair: The files.
        measures: Settings of the comparison.
        advance: Called after each window.

    Raises:
        RasterError: A file cannot be read, lies on another grid or holds invalid values.
    """
    settings = measures.settings
    with ExitStack() as opened:
        reader = opened.enter_context(open_pair(pair, settings))
        if reader.missed:
            LOG.warning(
                "%s: %s without a pixel centre left no label; --vector.all-touched=true labels every pixel that a "
                "polygon touches",
                pair.reference,
                counted(reader.missed, "polygon"),
            )
        grid, strata = reader.grid, None
        if pair.strata is not None:
            strata = opened.enter_context(open_strata(pair.strata, grid))
        reaches = measures.tolerances.reaches(grid)
        tiles = TileCounts(grid.height, grid.width, measures.tile_size)
        boundary = [BoundaryCounts() for _ in reaches]
        parcels = ParcelOverlaps(grid.width, reader.parcels)
        by_stratum = StratumCounts(pair.strata.path if pair.strata else pair.reference)
        histogram = np.zeros((2, PERCENTS), dtype=np.int64) if reader.probability else None
        for block, mapped, labels, found in _windows(reader, settings.window_size, reaches):
            boundary = [before + here for before, here in zip(boundary, found, strict=True)]
            tiles.add(block.core, mapped, labels)
            parcels.add(block.core, mapped, labels)
            if strata is not None:
                by_stratum.add(strata, block.core, mapped, labels)
            if histogram is not None and reader.probability is not None:
                histogram += count_percents(*read_percent(reader.probability, block.core), labels)
            advance()
        return SceneAccuracy(
            pair,
            tiles,
            boundary,
            parcels.counts(settings.object_iou, settings.min_parcel),
            by_stratum.counts,
            histogram,
        )


def _windows(reader: PairReader, size: int, reaches: Sequence[Reach]) -> Iterator[Compared]:
    """Windows of a scene, row by row.

    A second thread reads the next windows and counts their boundaries. This work takes as long as all other counts.
    """
    margin = max(reach.margin for reach in reaches)

    def read(block: Block) -> Compared:
        mapped, labels, core = reader.mapped(block.read), reader.labels(block.read), block.core_within_read
        return block, mapped[core], labels[core], count_boundary(mapped, labels, core, reaches)

    with ThreadPoolExecutor(max_workers=1) as thread:
        ahead: deque[Future[Compared]] = deque()
        for block in plan_blocks(reader.grid.height, reader.grid.width, size, margin):
            ahead.append(thread.submit(read, block))
            if len(ahead) > AHEAD:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
