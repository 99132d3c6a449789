"""Estimators of areas and accuracies, with standard errors, for a stratified random sample.

This module contains the estimators of Stehman (2014), https://doi.org/10.1080/01431161.2014.930207. The strata may
differ from the classes of the map. If the strata are the classes, the estimators equal equations 1 to 11 of Olofsson et
al. (2014), https://doi.org/10.1016/j.rse.2014.02.015. Every estimate is a ratio of two totals, so one formula computes
all of them.

Pixels are drawn with equal probability, but their ground areas differ: strongly in a geographic CRS, slightly in other
CRSs. The mean of a stratum is therefore weighted by pixel area: the ratio estimator of Cochran (1977), Sampling
Techniques, section 6.10. The ratio estimator is applied to each stratum separately, since the ground area of each
stratum is known exactly. The variance is computed from the residuals. If all pixel areas are equal, the estimator is
the plain mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Estimate:
    """An estimate with its standard error.

    Attributes:
        value: The estimate.
        standard_error: Estimated standard error, in the unit of the value.
        largest: Upper limit of the estimated quantity; the lower limit is 0.
    """

    value: float
    standard_error: float
    largest: float = 1.0

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Confidence interval of a normal distribution, clipped to the possible range.

        Args:
            confidence: Share of such intervals that contain the true value, 0 to 1.
        """
        half = NormalDist().inv_cdf((1 + confidence) / 2) * self.standard_error
        return max(self.value - half, 0.0), min(self.value + half, self.largest)

    def times(self, factor: float) -> "Estimate":
        """The estimate in another unit, such as hectares for a share."""
        return Estimate(self.value * factor, self.standard_error * factor, self.largest * factor)


@dataclass(frozen=True)
class Stratum:
    """A part of the map in which pixels were drawn with equal probability.

    Attributes:
        name: Name in reports.
        area: Ground area, in any unit.
        pixels: Number of pixels; None if the sample is a negligible share of the stratum.
    """

    name: str
    area: float
    pixels: int | None = None


@dataclass(frozen=True)
class StratifiedSample:
    """Sampled pixels with their mapped and true classes; each stratum is fully sampled or has at least two samples.

    Attributes:
        strata: Strata of the map.
        stratum: (N,) int, index of each pixel's stratum.
        mapped: (N,) int, class in the map.
        reference: (N,) int, true class, with the numbers of the map's classes.
        pixel_area: (N,) ground area of each pixel, in any unit; None if all areas are equal.
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
        """Share of the area that is mapped correctly: equations 1 and 5."""
        right = self._ratio(self.mapped == self.reference, np.ones(len(self.stratum), dtype=np.bool_))
        assert right is not None
        return right

    def users_accuracy(self, label: int) -> Estimate | None:
        """Share of the mapped area of a class that is correct: equations 2 and 6. None if the mapped area is 0."""
        mapped = self.mapped == label
        return self._ratio(mapped & (self.reference == label), mapped)

    def producers_accuracy(self, label: int) -> Estimate | None:
        """Share of the true area of a class that is mapped as this class: equations 3 and 7. None if this area is 0."""
        true = self.reference == label
        return self._ratio(true & (self.mapped == label), true)

    def proportions(self, labels: Sequence[int]) -> NDArray[np.float64]:
        """Error matrix in shares of the area: equation 4. Rows are mapped classes, columns are true classes."""
        weight = self._weights() / self.total_area
        return np.array(
            [
                [float(weight[(self.mapped == row) & (self.reference == column)].sum()) for column in labels]
                for row in labels
            ]
        )

    def confusion(self, labels: Sequence[int]) -> NDArray[np.int64]:
        """Error matrix in sampled pixels; rows are mapped classes, columns are true classes."""
        return np.array(
            [
                [np.count_nonzero((self.mapped == row) & (self.reference == column)) for column in labels]
                for row in labels
            ]
        )

    def only_references(self) -> list[int | None]:
        """For each stratum, the true class that all its points have; None if they differ or if all pixels were drawn.

        A stratum whose points all have one class adds nothing to the standard errors, so these errors are too small.
        """
        only: list[int | None] = []
        for place, stratum in enumerate(self.strata):
            found = self.reference[self.stratum == place]
            alike = len(found) != stratum.pixels and bool((found == found[0]).all())
            only.append(int(found[0]) if alike else None)
        return only

    def _pixel_areas(self) -> NDArray[np.float64]:
        return np.ones(len(self.stratum)) if self.pixel_area is None else self.pixel_area

    def _weights(self) -> NDArray[np.float64]:
        """Area that each sampled pixel represents.

        This is the pixel's area, times the area of its stratum, divided by the area of the stratum's sampled pixels.
        """
        areas = self._pixel_areas()
        sampled = np.bincount(self.stratum, areas, len(self.strata))
        return np.array([stratum.area for stratum in self.strata])[self.stratum] * areas / sampled[self.stratum]

    def _ratio(self, part: Flags, whole: Flags) -> Estimate | None:
        """Ratio of two ground areas, by the estimator of Stehman (2014)."""
        weights = self._weights()
        of = float(weights[whole].sum())
        if of == 0:
            return None
        value = float(weights[part].sum()) / of
        residuals = part - value * whole
        areas = np.array([stratum.area for stratum in self.strata])
        in_stratum = np.bincount(self.stratum, weights * residuals, len(self.strata)) / areas
        counts = np.bincount(self.stratum, minlength=len(self.strata))
        # Contribution of each pixel to the error of its stratum's total.
        pulls = weights * (residuals - in_stratum[self.stratum])
        spread = np.bincount(self.stratum, pulls**2, len(self.strata)) * counts / np.maximum(counts - 1, 1)
        variance = float((spread * self._unsampled(counts)).sum()) / of**2
        return Estimate(value, variance**0.5)

    def _unsampled(self, counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """Finite population correction, which Olofsson et al. (2014) omit; 0 for a fully sampled stratum."""
        pixels = [stratum.pixels or np.inf for stratum in self.strata]
        return np.asarray(1 - counts / np.array(pixels))
