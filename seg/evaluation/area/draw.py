"""Random draw of pixels without replacement; all pixels of a stratum have the same probability."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seg.evaluation.area.population import (
    WINDOW_SIZE,
    Population,
    StratumTally,
    key,
    numbered,
)

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Drawn:
    """Drawn pixels, in an order that reveals nothing about their strata.

    Attributes:
        stratum: (N,) index of each pixel's stratum.
        row: (N,) row of each pixel, from 0.
        column: (N,) column of each pixel, from 0.
    """

    stratum: Integers
    row: Integers
    column: Integers


def draw(
    population: Population, strata: Sequence[StratumTally], counts: Integers, seed: int, size: int = WINDOW_SIZE
) -> Drawn:
    """Draw a stratified random sample; the same seed draws the same pixels.

    The pixels of a stratum are numbered in reading order, and numbers are drawn. A second pass over the map finds the
    pixels with these numbers. Memory depends on the sample, not on the map.

    Args:
        population: The map and its zones.
        strata: Strata of the population.
        counts: (S,) pixels to draw in each stratum, at most all its pixels.
        seed: Seed of the draw.
        size: Side in pixels of the windows that are read; the size changes the numbers of the pixels, and therefore the
            draw.

    Raises:
        RasterError: The map cannot be read.
    """
    random = np.random.default_rng(seed)
    numbers = [
        np.sort(random.choice(stratum.pixels, int(count), replace=False, shuffle=False))
        for stratum, count in zip(strata, counts, strict=True)
    ]
    places = {key(stratum): place for place, stratum in enumerate(strata)}
    passed, none = np.zeros(len(strata), dtype=np.int64), np.zeros(0, dtype=np.int64)
    found: list[tuple[Integers, Integers, Integers]] = []
    for window, keys in population.windows("Drawing", size):
        present, where = numbered(keys)
        for value, pixels in zip(present.tolist(), np.bincount(where, minlength=len(present)).tolist(), strict=True):
            place = places.get(value)
            if place is None or not pixels:
                continue
            first, last = np.searchsorted(numbers[place], (passed[place], passed[place] + pixels))
            inside = np.flatnonzero(keys == value)[numbers[place][first:last] - passed[place]] if last > first else none
            passed[place] += pixels
            rows, columns = np.divmod(inside, window.width)
            found.append((np.full(len(inside), place), rows + window.row_off, columns + window.col_off))
    stratum, row, column = (np.concatenate(part) for part in zip(*found, strict=True))
    order = random.permutation(len(stratum))
    return Drawn(stratum[order], row[order], column[order])
