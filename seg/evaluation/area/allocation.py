"""Sample size and its allocation to the strata.

Olofsson et al. (2014), https://doi.org/10.1016/j.rse.2014.02.015, section 5.1, after Cochran (1977), Sampling
Techniques.
"""

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seg.evaluation.area.settings import Allocation

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Expectation:
    """Expectations of the strata before sampling.

    Attributes:
        weights: (S,) shares of the area, which sum to 1.
        accuracy: (S,) expected shares of correctly mapped pixels, 0 to 1.
        pixels: (S,) pixels of each stratum.
    """

    weights: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    pixels: Counts

    @property
    def deviations(self) -> NDArray[np.float64]:
        """(S,) standard deviation of the correctness of pixels (1 correct, 0 wrong) within each stratum."""
        return np.asarray(np.sqrt(self.accuracy * (1 - self.accuracy)))


def expected_error(expected: Expectation, counts: Counts) -> float:
    """Expected standard error of the overall accuracy of a sample.

    With two classes, this is also the standard error of the area share of each class, since a wrongly mapped pixel
    belongs to the other class.

    Args:
        expected: Expectations of the strata.
        counts: (S,) pixels drawn in each stratum.
    """
    spread = (expected.weights * expected.deviations) ** 2
    return float(np.sqrt((spread * (1 / np.maximum(counts, 1) - 1 / expected.pixels)).clip(0).sum()))


def allocate(expected: Expectation, total: int, allocation: Allocation, minimum: int) -> Counts:
    """Pixels to draw in each stratum, (S,).

    A stratum gets at least the minimum and at most all its pixels. The strata that are at neither limit divide the rest
    of the sample in proportion to their shares, as recommended in section 5.1 of the paper. If the minima alone exceed
    the total, the result exceeds the total too.

    Args:
        expected: Expectations of the strata.
        total: Total number of pixels to draw.
        allocation: Rule for the shares.
        minimum: Smallest number of pixels of a stratum.
    """
    shares = {
        "proportional": expected.weights,
        "neyman": expected.weights * expected.deviations,
        "equal": np.ones(len(expected.weights)),
    }[allocation]
    least, most = np.minimum(minimum, expected.pixels), expected.pixels
    # Find the number of pixels per unit of share that gives the total. The sum over all strata is a piecewise linear
    # function of this number; its slope changes where a stratum leaves its minimum or reaches its last pixel.
    bends = np.sort(np.concatenate([least / shares, most / shares]))
    sums = np.clip(bends[:, None] * shares, least, most).sum(axis=1)
    return _rounded(np.clip(np.interp(total, sums, bends) * shares, least, most))


def least_sample(expected: Expectation, standard_error: float, allocation: Allocation, minimum: int) -> Counts:
    """Smallest sample that is expected to reach a standard error, (S,) pixels in each stratum.

    Equation 13 of the paper gives the size under Neyman allocation. The other rules of allocation need more pixels for
    the same error.

    Args:
        expected: Expectations of the strata.
        standard_error: Standard error of the overall accuracy, as a share.
        allocation: Rule of allocation.
        minimum: Smallest number of pixels of a stratum.
    """

    def reaches(total: int) -> bool:
        return expected_error(expected, allocate(expected, total, allocation, minimum)) <= standard_error

    everything = range(1, int(expected.pixels.sum()) + 1)
    total = everything[min(bisect_left(everything, True, key=reaches), len(everything) - 1)]
    return allocate(expected, total, allocation, minimum)


def _rounded(dealt: NDArray[np.float64]) -> Counts:
    """Round to whole numbers with the same sum; the largest remainders are rounded up."""
    whole = np.floor(dealt + 1e-9).astype(np.int64)
    missing = round(float(dealt.sum())) - int(whole.sum())
    whole[np.argsort(whole - dealt, kind="stable")[:missing]] += 1
    return whole
