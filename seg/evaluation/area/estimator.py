"""Areas and accuracies from a stratified random sample, with their standard errors.

The estimators are those of Stehman (2014), https://doi.org/10.1080/01431161.2014.930207, for strata that need not be
the map's classes; where they are, they equal those of Olofsson et al. (2014),
https://doi.org/10.1016/j.rse.2014.02.015, equations 1 to 11. Every figure is a ratio of two totals, so there is one
formula.

Pixels are drawn with equal probability, but in a geographic CRS, and a little in every other, they cover unequal
ground. So a stratum's mean is the sample's mean weighted by pixel area, the ratio estimator of Cochran (1977), Sampling
Techniques, section 6.10 (separate in each stratum, since the ground area of each stratum is known exactly), and its
variance comes from the residuals. With equal areas the weights vanish, and nothing of it is left.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Estimate:
    """An estimate and what is known of its error.

    Attributes:
        value: The estimate.
        standard_error: Of the same unit; estimated.
        largest: The estimated quantity cannot be larger; nor can it be negative.
    """

    value: float
    standard_error: float
    largest: float = 1.0

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """The confidence interval of a normal distribution, cut at what is possible.

        Args:
            confidence: How often such intervals hold the truth, 0 to 1.
        """
        half = NormalDist().inv_cdf((1 + confidence) / 2) * self.standard_error
        return max(self.value - half, 0.0), min(self.value + half, self.largest)

    def times(self, factor: float) -> "Estimate":
        """The same estimate in another unit, such as hectares for a share."""
        return Estimate(self.value * factor, self.standard_error * factor, self.largest * factor)


@dataclass(frozen=True)
class Stratum:
    """A part of the map from which pixels were drawn with equal probability.

    Attributes:
        name: As reports call it.
        area: Ground area, in any unit.
        pixels: How many it has; None where they are so many that the sample takes no share of them worth counting.
    """

    name: str
    area: float
    pixels: int | None = None


@dataclass(frozen=True)
class StratifiedSample:
    """Sampled pixels with their mapped and their true class; at least two in each stratum, or all it has.

    Attributes:
        strata: Those of the map.
        stratum: (N,) int, each pixel's place among the strata.
        mapped: (N,) int, class in the map.
        reference: (N,) int, true class, numbered as the mapped ones.
        pixel_area: (N,) ground area, in any unit; None where all pixels have the same.
    """

    strata: Sequence[Stratum]
    stratum: NDArray[np.int64]
    mapped: NDArray[np.int64]
    reference: NDArray[np.int64]
    pixel_area: NDArray[np.float64] | None = None

    @property
    def total_area(self) -> float:
        """Ground area of all strata."""
        return sum(stratum.area for stratum in self.strata)

    def area(self, label: int) -> Estimate:
        """Ground area of a class, in the strata's unit: Olofsson et al. (2014), equations 9 to 11."""
        everywhere = np.ones(len(self.stratum), dtype=np.bool_)
        share = self._ratio(self.reference == label, everywhere)
        assert share is not None
        return share.times(self.total_area)

    def overall_accuracy(self) -> Estimate:
        """Share of the area that is mapped right: equations 1 and 5."""
        right = self._ratio(self.mapped == self.reference, np.ones(len(self.stratum), dtype=np.bool_))
        assert right is not None
        return right

    def users_accuracy(self, label: int) -> Estimate | None:
        """Share of the area mapped as a class that belongs to it, None if none is mapped: equations 2 and 6."""
        mapped = self.mapped == label
        return self._ratio(mapped & (self.reference == label), mapped)

    def producers_accuracy(self, label: int) -> Estimate | None:
        """Share of the area of a class that is mapped as it, None if there is none: equations 3 and 7."""
        true = self.reference == label
        return self._ratio(true & (self.mapped == label), true)

    def proportions(self, labels: Sequence[int]) -> NDArray[np.float64]:
        """The error matrix in shares of the area, mapped classes in rows, true ones in columns: equation 4."""
        weight = self._weights() / self.total_area
        return np.array(
            [
                [float(weight[(self.mapped == row) & (self.reference == column)].sum()) for column in labels]
                for row in labels
            ]
        )

    def confusion(self, labels: Sequence[int]) -> NDArray[np.int64]:
        """The error matrix in sampled pixels, mapped classes in rows, true ones in columns."""
        return np.array(
            [
                [np.count_nonzero((self.mapped == row) & (self.reference == column)) for column in labels]
                for row in labels
            ]
        )

    def _pixel_areas(self) -> NDArray[np.float64]:
        return np.ones(len(self.stratum)) if self.pixel_area is None else self.pixel_area

    def _weights(self) -> NDArray[np.float64]:
        """The area each sampled pixel stands for: its stratum's, by its share of the stratum's sampled area."""
        areas = self._pixel_areas()
        sampled = np.bincount(self.stratum, areas, len(self.strata))
        return np.array([stratum.area for stratum in self.strata])[self.stratum] * areas / sampled[self.stratum]

    def _ratio(self, part: Flags, whole: Flags) -> Estimate | None:
        """The share that one area has of another: the ratio estimator of Stehman (2014), by ground."""
        weights = self._weights()
        of = float(weights[whole].sum())
        if of == 0:
            return None
        value = float(weights[part].sum()) / of
        residuals = part - value * whole
        areas = np.array([stratum.area for stratum in self.strata])
        in_stratum = np.bincount(self.stratum, weights * residuals, len(self.strata)) / areas
        counts = np.bincount(self.stratum, minlength=len(self.strata))
        # Each pixel's share in the error of its stratum's total; one of mean area stands for area / count.
        pulls = weights * (residuals - in_stratum[self.stratum])
        spread = np.bincount(self.stratum, pulls**2, len(self.strata)) * counts / np.maximum(counts - 1, 1)
        variance = float((spread * self._unsampled(counts)).sum()) / of**2
        return Estimate(value, variance**0.5)

    def _unsampled(self, counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """The finite population correction, left out by Olofsson et al. (2014): 0 where every pixel was looked at."""
        pixels = [stratum.pixels or np.inf for stratum in self.strata]
        return np.asarray(1 - counts / np.array(pixels))
