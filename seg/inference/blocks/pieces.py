"""Divide blocks with few valid pixels into pieces, so that areas without data are not computed."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from seg.inference.compute.predictor import Estimate, PendingEstimate, Predictor
from seg.raster.chips import BoolMask, Chip
from seg.raster.windows import Block, round_up

CELL = 64
"""Side of a cell in pixels, before it is rounded up to the model's alignment. Pieces consist of cells, and every cell
with a valid pixel lies in a piece."""

FEWEST_CELLS = 4
"""Smallest side of a piece in cells; smaller pieces would be mostly halo."""

WORTH = 0.9
"""Largest ratio of the pixels computed in pieces to the pixels of the block. At a larger ratio, the additional calls
would take more time than the pieces save."""

SMALL = 2 * 2**20
"""A block with at most this number of pixels is not divided into pieces."""

Box = tuple[slice, slice]
"""Rows and columns."""


class Cells(NamedTuple):
    """Validity of the cells of a core, and the extent of the block's read window.

    Attributes:
        valid: (rows, columns) bool; True in cells with a valid pixel.
        halo: Context around a piece in cells, rounded up.
        before: Cells that the block reads above and to the left of its core.
        after: Cells from the core's upper left corner to the end of the read window.
    """

    valid: BoolMask
    halo: int
    before: tuple[int, int]
    after: tuple[int, int]

    def cost(self, boxes: Sequence[Box]) -> int:
        """Number of cells that boxes read, including their halos."""
        return sum(self._read(rows, 0) * self._read(columns, 1) for rows, columns in boxes)

    def _read(self, span: slice, axis: int) -> int:
        return int(min(span.stop + self.halo, self.after[axis]) - max(span.start - self.halo, -self.before[axis]))


def start_core(predictor: Predictor, chip: Chip, block: Block, halo: int | None) -> PendingEstimate:
    """Start the estimate of a block's core; pixels outside all pieces get the estimate 0.

    Args:
        predictor: Models and augmentation.
        chip: Pixels of the block; its core has a valid pixel.
        block: The windows.
        halo: Context around a piece in pixels, a multiple of the alignment; None to compute the block without pieces.
    """
    core = block.core_within_read
    if halo is None or chip.valid.size <= SMALL:
        pieces = [core]
    else:
        pieces = valid_pieces(chip.valid, core, halo, predictor.alignment)
    if halo is None or pieces == [core]:
        pending = predictor.start(chip.image)
        return lambda: pending().within(core)
    reads = [_with_halo(piece, halo, chip.valid.shape) for piece in pieces]
    begun = [predictor.start(chip.image[:, rows, columns]) for rows, columns in reads]

    def finish() -> Estimate:
        shape = chip.valid[core].shape
        joined = Estimate(np.zeros(shape, np.float32), np.zeros(shape, np.float32) if predictor.uncertainty else None)
        for piece, read, pending in zip(pieces, reads, begun, strict=True):
            found, place = pending().within(_shifted(piece, read)), _shifted(piece, core)
            joined.probability[place] = found.probability
            if joined.deviation is not None and found.deviation is not None:
                joined.deviation[place] = found.deviation
        return joined

    return finish


def valid_pieces(valid: BoolMask, core: Box, halo: int, alignment: int) -> list[Box]:
    """Parts of a core that hold all of its valid pixels; each part starts on a multiple of the alignment.

    Args:
        valid: (H, W) validity of all pixels that the block reads.
        core: Rows and columns of the core; it has a valid pixel.
        halo: Context of a piece in pixels.
        alignment: Alignment in pixels; the halo and the core's first row and column are multiples of this number.
    """
    if valid[core].all():
        return [core]
    side = round_up(CELL, alignment)
    before = tuple(span.start // side for span in core)
    after = tuple(-(-(length - span.start) // side) for span, length in zip(core, valid.shape, strict=True))
    cells = Cells(_by_cell(valid[core], side), -(-halo // side), (before[0], before[1]), (after[0], after[1]))
    rows, columns = (slice(0, length) for length in cells.valid.shape)
    boxes = _covering(cells, (rows, columns))
    if cells.cost(boxes) > WORTH * cells.cost([(rows, columns)]):
        return [core]
    return [(_in_pixels(rows, core[0], side), _in_pixels(columns, core[1], side)) for rows, columns in boxes]


def _covering(cells: Cells, box: Box) -> list[Box]:
    """Boxes that contain the valid cells of a box.

    The result is the bounding box of the valid cells, or several smaller boxes if these read clearly fewer cells.
    """
    rows, columns = (np.flatnonzero(cells.valid[box].any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return []
    bounds = _bounds(box[0], rows), _bounds(box[1], columns)
    best = [bounds]
    if cells.valid[best[0]].all():
        return best
    for axis in (0, 1):
        span = bounds[axis]
        middle = (span.start + span.stop) // 2
        if middle - span.start < FEWEST_CELLS:
            continue
        halves = [slice(start, stop) for start, stop in itertools.pairwise((span.start, middle, span.stop))]
        boxes = [(half, bounds[1]) if axis == 0 else (bounds[0], half) for half in halves]
        parts = [part for half in boxes for part in _covering(cells, half)]
        if cells.cost(parts) < WORTH * cells.cost(best):
            best = parts
    return best


def _by_cell(valid: BoolMask, side: int) -> BoolMask:
    """(rows, columns) True in cells with a valid pixel; the last row and column of cells may be smaller."""
    starts = [np.arange(0, length, side) for length in valid.shape]
    cells: BoolMask = np.logical_or.reduceat(np.logical_or.reduceat(valid, starts[0], axis=0), starts[1], axis=1)
    return cells


def _bounds(span: slice, found: npt.NDArray[np.intp]) -> slice:
    return slice(span.start + int(found[0]), span.start + int(found[-1]) + 1)


def _in_pixels(cells: slice, core: slice, side: int) -> slice:
    return slice(core.start + cells.start * side, min(core.start + cells.stop * side, core.stop))


def _with_halo(box: Box, halo: int, shape: tuple[int, ...]) -> Box:
    """A box with a halo, cut off at the edges of the block's read window."""
    rows, columns = (slice(max(s.start - halo, 0), min(s.stop + halo, n)) for s, n in zip(box, shape, strict=True))
    return rows, columns


def _shifted(box: Box, origin: Box) -> Box:
    """The same box, counted from the corner of another box."""
    rows, columns = (slice(s.start - o.start, s.stop - o.start) for s, o in zip(box, origin, strict=True))
    return rows, columns
