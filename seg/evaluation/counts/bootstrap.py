"""Confidence intervals of scores, by bootstrap over scenes or blocks.

Whole scenes or blocks are drawn, since the errors of neighbouring pixels are not independent.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from seg.evaluation.counts.confusion import ConfusionCounts
from seg.evaluation.counts.tiles import KINDS, Counts, as_confusion
from seg.evaluation.settings import EvaluationSettings

CONFIDENCE = 0.95
FEWEST_UNITS = 5
"""Smallest number of units; with fewer units, the draws are too similar for a meaningful interval."""

ENOUGH_SCENES = 10
"""Smallest number of scenes for drawing scenes instead of blocks. Scenes lie apart, so their errors are independent."""

_DRAWS = 1 << 20
"""Number of random numbers in memory at a time: 8 MB."""

Unit = Literal["scene", "block"]


@dataclass(frozen=True)
class Bootstrap:
    """Intervals of every score.

    Attributes:
        unit: Kind of the drawn units.
        units: Number of units.
        block_size: Side of a block in pixels; None for scenes.
        repetitions: Number of draws; each draw takes `units` units with replacement.
        seed: Seed of the draws.
        intervals: Lower and upper bound by name of the score.
    """

    unit: Unit
    units: int
    block_size: int | None
    repetitions: int
    seed: int
    intervals: dict[str, tuple[float, float]]


def bootstrap(scenes: Counts, blocks: Counts, block_size: int, settings: EvaluationSettings) -> Bootstrap | None:
    """Intervals of every score; None if there are too few units or no intervals are requested.

    Args:
        scenes: (N, 5) counts of each scene.
        blocks: (M, 5) counts of the blocks of all scenes.
        block_size: Side of a block in pixels.
        settings: Unit, number and seed of the draws.
    """
    by_scene = _compared(scenes)
    wanted = settings.bootstrap_unit
    unit: Unit = ("scene" if len(by_scene) >= ENOUGH_SCENES else "block") if wanted == "auto" else wanted
    units = by_scene if unit == "scene" else _compared(blocks)
    if not settings.bootstrap or len(units) < FEWEST_UNITS:
        return None
    intervals = score_intervals(units, settings.bootstrap, settings.seed)
    size = block_size if unit == "block" else None
    return Bootstrap(unit, len(units), size, settings.bootstrap, settings.seed, intervals)


def score_intervals(units: Counts, repetitions: int, seed: int) -> dict[str, tuple[float, float]]:
    """Percentile intervals of every score at CONFIDENCE; a score that is undefined in every draw has no interval.

    Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapter 13, https://doi.org/10.1201/9780429246593.

    Args:
        units: (N, 5) counts of the units.
        repetitions: Number of draws; each draw takes N units with replacement.
        seed: Seed of the draws.
    """
    random = np.random.default_rng(seed)
    found: dict[str, list[float]] = {name: [] for name in ConfusionCounts().scores()}
    at_once = max(_DRAWS // len(units), 1)
    for start in range(0, repetitions, at_once):
        draws = random.multinomial(len(units), np.full(len(units), 1 / len(units)), min(at_once, repetitions - start))
        for counts in draws @ units:
            for name, value in as_confusion(counts).scores().items():
                if value is not None:
                    found[name].append(value)
    tail = (1 - CONFIDENCE) / 2
    return {name: _quantiles(values, tail) for name, values in found.items() if values}


def _compared(units: Counts) -> Counts:
    """Units with at least one compared pixel."""
    return units[units[:, : KINDS - 1].any(axis=1)]


def _quantiles(values: list[float], tail: float) -> tuple[float, float]:
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)
