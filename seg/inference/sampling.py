"""Where in a scene halos are tried: the places whose probabilities a cut can change most."""

import heapq
import itertools
from collections.abc import Iterator

import numpy as np
from rasterio.io import DatasetReader
from rasterio.windows import Window

from seg.inference.halo import Sample
from seg.inference.predictor import Predictor
from seg.raster.chips import Chip, Reading, read_chip
from seg.raster.grid import Grid, open_raster
from seg.raster.windows import Block, round_up

CORE = 128
"""Side in pixels of the square whose probabilities are compared, before rounding to the alignment."""

LOOKED_AT = 8
"""Places along each axis among which the samples are chosen, the scene's edges and corners among them."""

SAMPLES = 16
"""How many of them are sampled."""


def sensitive_samples(grid: Grid, reading: Reading, predictor: Predictor, limit: int) -> Iterator[Sample]:
    """Up to 16 samples, those first where a probability answers most to its input.

    The network is run on 64 small squares, spread over the scene, without any context. The slope of the logistic
    function, p (1 - p), says how far a change of a logit shows: much at p = 0.5, not at all where the model is sure.
    Squares without valid pixels are left out.

    Args:
        grid: The scene.
        reading: How it is read.
        predictor: Model and augmentation.
        limit: Context to give each sample.

    Raises:
        RasterError: The scene's pixels cannot be read.
    """
    with open_raster(grid.path) as dataset:
        scored: list[tuple[float, Block]] = []
        for block in _places(grid, predictor.alignment, limit):
            sensitivity = _sensitivity(read_chip(dataset, block.core, reading), predictor)
            if sensitivity > 0:
                scored.append((sensitivity, block))
        for _, block in heapq.nlargest(SAMPLES, scored, key=lambda place: place[0]):
            yield _sample(dataset, block, reading)


def sampling_cost(alignment: int, limit: int) -> int:
    """About how many pixels are computed to measure a halo up to a limit."""
    core = round_up(CORE, alignment)
    # One prediction with the limit, and two with about two thirds of it.
    each = (core + 2 * limit) ** 2 + 2 * (core + 4 * limit // 3) ** 2
    return LOOKED_AT**2 * core**2 + SAMPLES * each


def _places(grid: Grid, alignment: int, limit: int) -> Iterator[Block]:
    """Blocks of the sampled size, spread over the scene as evenly as whole blocks allow."""
    core = round_up(CORE, alignment)
    rows, columns = _spread(-(-grid.height // core)), _spread(-(-grid.width // core))
    for row, column in itertools.product(rows, columns):
        top, bottom = row * core, min((row + 1) * core, grid.height)
        left, right = column * core, min((column + 1) * core, grid.width)
        first_row, first_column = max(top - limit, 0), max(left - limit, 0)
        height, width = min(bottom + limit, grid.height) - first_row, min(right + limit, grid.width) - first_column
        inner = Window(left, top, right - left, bottom - top)
        yield Block(row, column, inner, Window(first_column, first_row, width, height))


def _spread(count: int) -> list[int]:
    return sorted({round(step * (count - 1) / (LOOKED_AT - 1)) for step in range(LOOKED_AT)})


def _sensitivity(chip: Chip, predictor: Predictor) -> float:
    if not chip.valid.any():
        return 0.0
    probability = predictor.probability(chip.image)[chip.valid]
    return float(np.mean(probability * (1 - probability))) + 1e-9  # where the model is sure everywhere, still a place


def _sample(dataset: DatasetReader, block: Block, reading: Reading) -> Sample:
    chip = read_chip(dataset, block.read, reading)
    return Sample(chip.image, block.core_within_read, chip.valid[block.core_within_read])
