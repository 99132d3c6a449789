"""Measure the context that a block needs, by running the model on samples of the scene."""

import heapq
import itertools
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from rasterio.io import DatasetReader
from rasterio.windows import Window

from seg.inference.area_of_interest import Area
from seg.inference.compute.predictor import Predictor
from seg.inference.reading import BlockReader
from seg.raster.chips import BoolMask, Chip, FloatImage
from seg.raster.grid import Grid
from seg.raster.windows import Block, block_at, core_spans, round_up
from seg.raster.writing.cog import TILE

STEPS = 32
"""Number of candidate halos up to the limit."""

SMALLEST_CORE = 128
"""Smallest side in pixels of the core of a sample.

The limit is the largest halo to consider. The usual side is twice the limit. Effects of a cut are measured up to three
eighths of this side from the cut, which is 0.75 of the limit. At a tolerance of 1/255, trained networks needed a halo
of 0.6 of their receptive field. In a small scene, the side is half of the scene's longer side.
"""

PER_AXIS = 8
"""Number of candidate samples along each axis, including the scene's edges and corners."""

RANKING_SIDE = 64
"""Side in pixels, before rounding to the alignment, of the square that is computed to rank a candidate."""

SAMPLES = 16
"""Largest number of samples."""


@dataclass(frozen=True)
class Sample:
    """A core of the scene with its largest context; predictions with and without the context show the effect of a halo.

    Attributes:
        image: (C, H, W) pixels of the core and its context, cut off at the scene's edges.
        core: Rows and columns of the core in the image.
        valid: (h, w) validity of the core; invalid pixels have no probability.
    """

    image: FloatImage
    core: tuple[slice, slice]
    valid: BoolMask

    def halo(self, predictor: Predictor, change: float) -> int | None:
        """Smallest halo with which no probability of the core changes by more than `change`.

        Two predictions measure all halos at once. The first prediction reads the full context; the second prediction
        reads only the core. In the second prediction, a pixel at distance d from a cut represents a pixel at the edge
        of a core with a halo of d.

        Args:
            predictor: Models and augmentation.
            change: Accepted change of a probability, 0 to 1.

        Returns:
            The halo in pixels; None if the core is the whole scene, or if changes reach too far into the core.
        """
        context = self._context()
        if context.max() >= self.image.size:
            return None
        whole = predictor.probability(self.image)[self.core]
        alone = predictor.probability(self.image[:, self.core[0], self.core[1]])
        changed = self.valid & (np.abs(whole - alone) > change)
        fewest = int(context[changed].max(initial=-1)) + 1
        # Farther inside, too few pixels are left for a measurement.
        return fewest if fewest <= context.max() * 3 // 4 or not changed.any() else None

    def _context(self) -> npt.NDArray[np.intp]:
        """Distance of each pixel of the core from the nearest cut, (h, w) in pixels; scene edges are not cuts."""
        distances = []
        for core, length in zip(self.core, self.image.shape[1:], strict=True):
            side = core.stop - core.start
            places = np.arange(side)
            before = places if core.start > 0 else np.full(side, self.image.size)
            after = places[::-1] if core.stop < length else np.full(side, self.image.size)
            distances.append(np.minimum(before, after))
        return np.minimum(distances[0][:, None], distances[1][None, :])


def measured_halo(predictor: Predictor, samples: Iterable[Sample], limit: int, tolerance: float) -> int:
    """Halo with which the probabilities of all samples stay within the tolerance, with a safety margin.

    The smallest candidate that suffices at half the tolerance is found, and the next larger candidate is returned. Half
    the tolerance and one step are the safety margin for pixels that were not sampled.

    Args:
        predictor: Models and augmentation.
        samples: Samples of the scene.
        limit: The receptive field, a multiple of the alignment; a halo of this size always suffices. The limit is
            returned if there is no sample, or if a sample cannot be measured.
        tolerance: Largest accepted change of a probability, 0 to 1.
    """
    candidates = halo_candidates(predictor.alignment, limit)
    enough = None
    for sample in samples:
        fewest = sample.halo(predictor, tolerance / 2)
        if fewest is None or fewest > candidates[-2:][0]:
            return limit  # This sample needs the limit, so the other samples are not measured.
        enough = max(enough or 0, fewest)
    if enough is None:
        return limit
    return candidates[min(bisect_left(candidates, enough) + 1, len(candidates) - 1)]


def halo_candidates(alignment: int, limit: int) -> list[int]:
    """Candidate halos: multiples of the alignment, in at most 32 equal steps up to the limit."""
    step = round_up(max(limit // STEPS, 1), alignment)
    return [*range(step, limit, step), limit]


def sensitive_samples(
    grid: Grid, reader: BlockReader, predictor: Predictor, limit: int, most: int = SAMPLES
) -> Iterator[Sample]:
    """Samples of a scene, sorted by the sensitivity of their probabilities, most sensitive first.

    The network is run on 64 small squares, spread over the scene, without context. The sensitivity is the mean slope of
    the logistic function, p (1 - p): a change of a logit has the largest effect at p = 0.5, and hardly any effect where
    the model is certain. Squares without valid pixels are left out. With an area of interest, the squares are spread
    over its bounding box.

    Args:
        grid: Grid of the scene.
        reader: Reads the scene's blocks.
        predictor: Models and augmentation.
        limit: Context of each sample in pixels.
        most: Largest number of samples.

    Raises:
        RasterError: The scene's pixels cannot be read.
    """
    with reader.open(grid.path) as dataset:
        scored: list[tuple[float, Block]] = []
        for block in _places(grid, reader.area, predictor.alignment, limit):
            middle = _middle(block.core, predictor.alignment)
            square = replace(block, core=middle, read=middle)
            sensitivity = _sensitivity(reader.read(dataset, square), predictor)
            if sensitivity > 0:
                scored.append((sensitivity, block))
        for _, block in heapq.nlargest(most, scored, key=lambda place: place[0]):
            yield _sample(dataset, block, reader)


def samples_within(pixels: float, alignment: int, limit: int) -> int:
    """Number of samples that can be selected and measured if at most `pixels` pixels are computed."""
    core = _core(alignment, limit)
    ranking = (PER_AXIS * round_up(RANKING_SIDE, alignment)) ** 2
    return min(SAMPLES, max(int((pixels - ranking) // ((core + 2 * limit) ** 2 + core**2)), 0))


def sampling_reads(alignment: int, limit: int, samples: int) -> int:
    """Approximate number of pixels that a measurement reads, in whole tiles of a typical file."""
    square = round_up(round_up(RANKING_SIDE, alignment), TILE)
    return (PER_AXIS * square) ** 2 + samples * (_core(alignment, limit) + 2 * limit + TILE) ** 2


def _core(alignment: int, limit: int) -> int:
    return round_up(max(SMALLEST_CORE, 2 * limit), alignment)


def _places(grid: Grid, area: Area | None, alignment: int, limit: int) -> Iterator[Block]:
    """Candidate samples: blocks spread evenly over the scene that intersect the area."""
    core = min(_core(alignment, limit), round_up(-(-max(grid.height, grid.width) // 2), alignment))
    left, top, right, bottom = (0, 0, grid.width, grid.height) if area is None else area.bounds
    rows, columns = (core_spans(length, core, limit) for length in (grid.height, grid.width))
    chosen_rows = _spread(max(top, 0) // core, -(-min(bottom, grid.height) // core))
    chosen_columns = _spread(max(left, 0) // core, -(-min(right, grid.width) // core))
    for row, column in itertools.product(chosen_rows, chosen_columns):
        block = block_at(row, column, rows, columns)
        if area is None or area.intersects(block.core):
            yield block


def _spread(first: int, stop: int) -> list[int]:
    return sorted({first + round(step * (stop - first - 1) / (PER_AXIS - 1)) for step in range(PER_AXIS)})


def _middle(core: Window, alignment: int) -> Window:
    """A small square in the middle of a core, cut off if the core is smaller."""
    side = round_up(RANKING_SIDE, alignment)
    height, width = min(side, core.height), min(side, core.width)
    row, column = ((length - side) // 2 // alignment * alignment for length in (core.height, core.width))
    return Window(core.col_off + max(column, 0), core.row_off + max(row, 0), width, height)


def _sensitivity(chip: Chip, predictor: Predictor) -> float:
    if not chip.valid.any():
        return 0.0
    probability = predictor.probability(chip.image)[chip.valid]
    return float(np.mean(probability * (1 - probability))) + 1e-9  # always above 0


def _sample(dataset: DatasetReader, block: Block, reader: BlockReader) -> Sample:
    chip = reader.read(dataset, block)
    return Sample(chip.image, block.core_within_read, chip.valid[block.core_within_read])
