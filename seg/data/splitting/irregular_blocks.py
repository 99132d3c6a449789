"""Spatial split of one scene into blocks of different sizes; guards separate the blocks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from seg.data.splitting.folds import Labels, assign_blocks
from seg.errors import DatasetError
from seg.labels import CROPLAND, IGNORE

NO_FOLD = 255
"""Value of a fold raster in the guards, outside all blocks."""

_KEEP_WHOLE = 0.25
"""Probability that a block within the limits is not cut further. With a probability of 0, no side would reach twice the
minimum."""


@dataclass(frozen=True)
class BlockRule:
    """Limits of the blocks of a split, in pixels.

    Attributes:
        minimum: Shortest side of a block.
        maximum: Longest side of a block.
        guard: Number of pixels between neighbouring blocks.
    """

    minimum: int
    maximum: int
    guard: int

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            DatasetError: A side is not positive, the sides are not in order, or the guard is negative.
        """
        if not (1 <= self.minimum <= self.maximum and self.guard >= 0):
            raise DatasetError(f"{self}: wanted 1 <= minimum <= maximum and guard >= 0; change the sides or the guard")

    def parts(self, length: int) -> int:
        """Largest number of blocks, with guards between them, that can cover a length; 0 if none can."""
        most = (length + self.guard) // (self.minimum + self.guard)
        return most if length <= self._length(most, self.maximum) else 0

    def cut(self, length: int, random: np.random.Generator) -> int:
        """Length of the first of two parts that together can hold as many blocks as the whole.

        The pixels that exceed the minimum sides of all blocks are divided between the two parts at random; on average,
        each block gets the same number.
        """
        parts = self.parts(length)
        before = int(random.integers(1, parts))
        after = parts - before
        spare = length - self._length(parts, self.minimum)
        first = self._length(before, self.minimum) + round(spare * random.beta(before, after))
        shortest = length - self.guard - self._length(after, self.maximum)
        return max(shortest, min(first, self._length(before, self.maximum)))

    def _length(self, parts: int, side: int) -> int:
        return parts * side + (parts - 1) * self.guard


def irregular_blocks(height: int, width: int, rule: BlockRule, seed: int) -> list[Window]:
    """Cut a scene into rectangles of different sizes that cover the whole scene except the guards.

    The cuts are recursive guillotine cuts at random positions. No cut reduces the largest possible number of blocks.
    Most blocks are therefore small, and every fold can have blocks in all parts of the scene.

    Args:
        height: Rows of the scene.
        width: Columns of the scene.
        rule: Limits of the sides, and the guard.
        seed: Seed of the cuts.

    Raises:
        DatasetError: Blocks within the limits cannot cover the scene.
    """
    for name, length in (("height", height), ("width", width)):
        if not rule.parts(length):
            raise DatasetError(
                f"a scene {name} of {length} pixels cannot be cut into blocks of {rule.minimum} to {rule.maximum} "
                f"pixels with a guard of {rule.guard}; widen the range of block sides"
            )
    blocks = _cut(Window(0, 0, width, height), rule, np.random.default_rng(seed))
    return sorted(blocks, key=lambda block: (block.row_off, block.col_off))


def assign_folds(blocks: Sequence[Window], mask: NDArray[np.uint8], folds: int, seed: int) -> list[int]:
    """Assign blocks to folds with `assign_blocks`, and return the fold of each.

    Args:
        blocks: Windows of the mask.
        mask: (H, W) uint8 label values.
        folds: Number of folds; no fold stays empty.
        seed: Seed of the split.

    Raises:
        DatasetError: There are fewer blocks than folds.
    """
    if not 1 <= folds <= len(blocks):
        raise DatasetError(f"{len(blocks)} blocks cannot fill {folds} folds; use fewer folds or smaller blocks")
    centres = np.array([(block.row_off + block.height / 2, block.col_off + block.width / 2) for block in blocks])
    side = np.sqrt(np.mean([block.height * block.width for block in blocks]))
    return [int(fold) for fold in assign_blocks(block_labels(blocks, mask), centres / side, folds, seed)]


def fold_raster(blocks: Sequence[Window], folds: Sequence[int], height: int, width: int) -> NDArray[np.uint8]:
    """(H, W) uint8 fold of each pixel; NO_FOLD in the guards."""
    raster = np.full((height, width), NO_FOLD, dtype=np.uint8)
    for block, fold in zip(blocks, folds, strict=True):
        raster[block.toslices()] = fold
    return raster


def block_labels(blocks: Sequence[Window], mask: NDArray[np.uint8]) -> Labels:
    """(N, 2) pixels of cropland and pixels of other in each block.

    Args:
        blocks: Windows of the mask.
        mask: (H, W) uint8 label values.
    """
    pixels = [mask[block.toslices()] for block in blocks]
    counts = [(np.sum(part == CROPLAND), np.sum((part != CROPLAND) & (part != IGNORE))) for part in pixels]
    return np.array(counts, dtype=np.int64)


def _cut(block: Window, rule: BlockRule, random: np.random.Generator) -> list[Window]:
    rows, columns = rule.parts(block.height), rule.parts(block.width)
    fits = max(block.height, block.width) <= rule.maximum
    if rows == columns == 1 or (fits and random.random() < _KEEP_WHOLE):
        return [block]
    # The longer side is more likely to be cut, so that blocks do not become narrow strips.
    between_rows = rows > 1 and (columns == 1 or random.random() < block.height / (block.height + block.width))
    first = rule.cut(block.height if between_rows else block.width, random)
    rest = first + rule.guard
    left, top, width, height = block.flatten()
    if between_rows:
        halves = Window(left, top, width, first), Window(left, top + rest, width, height - rest)
    else:
        halves = Window(left, top, first, height), Window(left + rest, top, width - rest, height)
    return [part for half in halves for part in _cut(half, rule, random)]
