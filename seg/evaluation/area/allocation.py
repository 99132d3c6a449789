"""How many pixels to draw, and how many of them in each stratum.

Olofsson et al. (2014), https://doi.org/10.1016/j.rse.2014.02.015, section 5.1, after Cochran (1977), Sampling
Techniques.
"""

import math
from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seg.evaluation.area.settings import Allocation

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Expectation:
    """What is expected of strata before anything is sampled.

    Attributes:
        weights: Their shares of the area, which sum to 1.
        accuracy: What share of each is expected to be mapped right, 0 to 1.
        pixels: How many each has.
    """

    weights: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    pixels: Counts

    @property
    def deviations(self) -> NDArray[np.float64]:
        """Standard deviation of right (1) and wrong (0) within each stratum."""
        return np.asarray(np.sqrt(self.accuracy * (1 - self.accuracy)))


def optimal_size(expected: Expectation, standard_error: float) -> int:
    """The least sample with a standard error of overall accuracy, were it dealt in the best way: equation 13.

    Cochran's equation 5.25, with the correction for populations that are not large.

    Args:
        expected: Of the strata.
        standard_error: The wanted one, as a share.
    """
    spread = float((expected.weights * expected.deviations).sum())
    small = float((expected.weights * expected.deviations**2).sum()) / int(expected.pixels.sum())
    return math.ceil(spread**2 / (standard_error**2 + small))


def expected_error(expected: Expectation, counts: Counts) -> float:
    """The standard error of overall accuracy that a sample is expected to have.

    With two classes it is also that of the share of either: a pixel mapped wrong belongs to the other.

    Args:
        expected: Of the strata.
        counts: (S,) pixels drawn in each.
    """
    spread = (expected.weights * expected.deviations) ** 2
    return float(np.sqrt((spread * (1 / np.maximum(counts, 1) - 1 / expected.pixels)).clip(0).sum()))


def allocate(expected: Expectation, total: int, allocation: Allocation, minimum: int) -> Counts:
    """How many pixels to draw in each stratum, (S,).

    A stratum gets the minimum at least, and no more pixels than it has; the rest is dealt to the others by their
    shares, as section 5.1 of the paper recommends. So where the minima alone take more than the total, there are more.

    Args:
        expected: Of the strata.
        total: Pixels to draw in all.
        allocation: By what the shares are taken.
        minimum: The least in each stratum.
    """
    shares = {
        "proportional": expected.weights,
        "neyman": expected.weights * expected.deviations,
        "equal": np.ones(len(expected.weights)),
    }[allocation]
    least, most = np.minimum(minimum, expected.pixels), expected.pixels
    # Pixels for each unit of share, such that the sum fits: it grows along straight lines between the places at which
    # a stratum leaves its minimum or reaches all it has.
    bends = np.sort(np.concatenate([least / shares, most / shares]))
    sums = np.clip(bends[:, None] * shares, least, most).sum(axis=1)
    return _rounded(np.clip(np.interp(total, sums, bends) * shares, least, most))


def least_sample(expected: Expectation, standard_error: float, allocation: Allocation, minimum: int) -> Counts:
    """The smallest sample, (S,) pixels in each stratum, that is expected to reach a standard error as it is dealt.

    Equation 13 supposes the best way to deal; another one takes more pixels for the same error.

    Args:
        expected: Of the strata.
        standard_error: Of overall accuracy, as a share.
        allocation: How the pixels are dealt.
        minimum: The least in each stratum.
    """

    def reaches(total: int) -> bool:
        return expected_error(expected, allocate(expected, total, allocation, minimum)) <= standard_error

    everything = range(1, int(expected.pixels.sum()) + 1)
    total = everything[min(bisect_left(everything, True, key=reaches), len(everything) - 1)]
    return allocate(expected, total, allocation, minimum)


def _rounded(dealt: NDArray[np.float64]) -> Counts:
    """Whole numbers with the same sum: the largest remainders are rounded up."""
    whole = np.floor(dealt + 1e-9).astype(np.int64)
    missing = round(float(dealt.sum())) - int(whole.sum())
    whole[np.argsort(whole - dealt, kind="stable")[:missing]] += 1
    return whole
