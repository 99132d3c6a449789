"""Reliability and precision-recall curves from pixel counts by label and predicted value.

Predicted values are probabilities, logit bins (training) or percents (evaluation).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
"""(2, N) pixel counts. Row 0 is other and row 1 cropland; columns are predicted values in ascending order."""

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ReliabilityCurve:
    """Predicted and observed cropland in equally wide bins of the probability from 0 to 1.

    Attributes:
        pixels: (bins,) pixels in each bin.
        cropland: (bins,) cropland pixels in each bin.
        expected: (bins,) sum of the predicted values in each bin.
        full: Predicted value that means probability 1: 1 for probabilities, 100 for percents.
    """

    pixels: Counts
    cropland: Counts
    expected: Values
    full: float = 1.0

    @property
    def predicted(self) -> Values:
        """Mean probability of the pixels in each bin, 0 to 1; NaN in an empty bin."""
        return _share(self.expected, self.pixels, self.full)

    @property
    def observed(self) -> Values:
        """Share of cropland among the pixels in each bin, 0 to 1; NaN in an empty bin."""
        return _share(self.cropland, self.pixels)

    def __add__(self, other: "ReliabilityCurve") -> "ReliabilityCurve":
        sums = self.pixels + other.pixels, self.cropland + other.cropland, self.expected + other.expected
        return ReliabilityCurve(*sums, full=self.full)


@dataclass(frozen=True, eq=False)
class PrecisionRecallCurve:
    """Precision and recall of cropland at each of T thresholds.

    Attributes:
        threshold: (T,) thresholds, ascending.
        mapped: (T,) pixels at or above each threshold.
        hits: (T,) cropland pixels at or above each threshold.
        cropland: Number of all cropland pixels.
    """

    threshold: Values
    mapped: Counts
    hits: Counts
    cropland: int

    @property
    def precision(self) -> Values:
        """(T,) share of cropland among the mapped pixels; 1 if no pixel is mapped."""
        return np.asarray(np.where(self.mapped > 0, self.hits / np.maximum(self.mapped, 1), 1.0))

    @property
    def recall(self) -> Values:
        """(T,) share of the cropland pixels that are mapped; 0 if the labels hold no cropland."""
        return np.asarray(self.hits / max(self.cropland, 1))


def reliability_curve(counts: Counts, values: Values, bins: int = 15, full: float = 1.0) -> ReliabilityCurve:
    """Reliability curve of counted pixels.

    Args:
        counts: (2, N) pixels by label and predicted value.
        values: (N,) predicted values, 0 to `full`.
        bins: Number of bins; the last one includes `full`.
        full: Predicted value that means probability 1.
    """
    place = np.minimum((values * bins / full).astype(np.int64), bins - 1)
    pixels, cropland = np.zeros((2, bins), dtype=np.int64)
    # add.at sums integers; bincount would convert its weights to float.
    np.add.at(pixels, place, counts.sum(axis=0))
    np.add.at(cropland, place, counts[1])
    expected: Values = np.bincount(place, counts.sum(axis=0) * values, bins).astype(np.float64)
    return ReliabilityCurve(pixels, cropland, expected, full)


def expected_calibration_error(curve: ReliabilityCurve) -> float:
    """Mean of |predicted - observed| over the bins, weighted by their pixels, 0 to 1; 0 if there are no pixels.

    The predicted value is the probability of cropland, as in Naeini et al. (2015), Obtaining Well Calibrated
    Probabilities Using Bayesian Binning, https://doi.org/10.1609/aaai.v29i1.9602, and in torchmetrics. Guo et al.
    (2017), https://arxiv.org/abs/1706.04599, use the probability of the predicted class instead, so errors of the two
    classes can cancel out.
    """
    filled = curve.pixels > 0
    gaps = curve.pixels[filled] * np.abs(curve.predicted[filled] - curve.observed[filled])
    return float(sum(gaps.tolist()) / max(int(curve.pixels.sum()), 1))


def precision_recall_curve(counts: Counts, thresholds: Values) -> PrecisionRecallCurve:
    """Precision-recall curve of counted pixels; a pixel is mapped if its value is at or above the threshold.

    Args:
        counts: (2, N) pixels by label and predicted value.
        thresholds: (N,) one threshold per value; or (N + 1,) with a last threshold above all values.
    """
    mapped, hits = (at_or_above(pixels)[: len(thresholds)] for pixels in (counts.sum(axis=0), counts[1]))
    return PrecisionRecallCurve(thresholds, mapped, hits, int(counts[1].sum()))


def average_precision(counts: Counts) -> float | None:
    """Mean precision over all thresholds, weighted by the increase in recall; None if the labels hold no cropland.

    Args:
        counts: (2, N) pixels by label and predicted value.
    """
    cropland = int(counts[1].sum())
    if not cropland:
        return None
    precision = at_or_above(counts[1]) / np.maximum(at_or_above(counts.sum(axis=0)), 1)
    return float((counts[1] * precision[:-1]).sum() / cropland)


def at_or_above(pixels: Counts) -> Counts:
    """(N + 1,) pixels at or above each of (N,) values; the last entry is 0, for a threshold above all values."""
    total: Counts = np.append(pixels[::-1].cumsum()[::-1], 0)
    return total


def _share(part: Counts | Values, pixels: Counts, full: float = 1.0) -> Values:
    with np.errstate(invalid="ignore"):
        share: Values = part / (full * pixels)
    return share
