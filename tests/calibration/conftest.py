"""Counted logits for the tests of calibration."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from seg.calibration.curves import Counts
from seg.calibration.histogram import BINS, LIMIT

Logits = npt.NDArray[np.float64]


def count(logits: Logits, cropland: npt.NDArray[np.bool_]) -> Counts:
    """(2, BINS) counts of labelled logits, computed with NumPy only."""
    kept = logits.clip(-LIMIT, LIMIT)
    return np.stack([np.histogram(kept[cropland == label], BINS, (-LIMIT, LIMIT))[0] for label in (False, True)])


@pytest.fixture(scope="session")
def counted() -> Callable[[Logits, npt.NDArray[np.bool_]], Counts]:
    """Function `counted(logits, cropland)` that returns (2, BINS) counts of labelled logits."""
    return count


@pytest.fixture(scope="session")
def calibrated() -> Callable[..., tuple[Logits, npt.NDArray[np.bool_]]]:
    """Function `calibrated(pixels, seed=0)` that returns calibrated logits and random labels drawn from them."""

    def make(pixels: int, seed: int = 0) -> tuple[Logits, npt.NDArray[np.bool_]]:
        random = np.random.default_rng(seed)
        logits = random.normal(0.3, 2, pixels)
        return logits, random.random(pixels) < 1 / (1 + np.exp(-logits))

    return make
