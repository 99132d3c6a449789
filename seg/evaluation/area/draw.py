"""Draw pixels of a population at random: in each stratum every pixel alike, and none twice."""

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
    """Pixels that were drawn, in an order that tells nothing of their strata.

    Attributes:
        stratum: (N,) place among the strata.
        row: (N,) from 0.
        column: (N,) from 0.
    """

    stratum: Integers
    row: Integers
    column: Integers


def draw(
    population: Population, strata: Sequence[StratumTally], counts: Integers, seed: int, size: int = WINDOW_SIZE
) -> Drawn:
    """A stratified random sample; the same seed draws the same pixels.

    The pixels of a stratum are numbered in the order in which the windows are read; numbers are drawn without
    repetition, then the windows are read again for the pixels that have them. Memory follows the sample, not the map.

    Args:
        population: The map and its zones.
        strata: What its tally found.
        counts: (S,) pixels to draw in each, at most those it has.
        seed: Of the draw.
        size: Side of the windows in pixels; another one numbers the pixels, and so draws, in another way.

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
