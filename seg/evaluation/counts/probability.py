"""Scores of a probability map, from the pixels counted by label and percent."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seg.evaluation.counts.confusion import ratio
from seg.labels import CROPLAND, OTHER
from seg.raster.chips import BoolMask, ByteMask

PERCENTS = 101
RELIABILITY_BINS = 10

Histogram = npt.NDArray[np.int64]
"""(2, 101) pixels by label, other before cropland, and by the percent of the map."""


def count_percents(percent: ByteMask, valid: BoolMask, labels: ByteMask) -> Histogram:
    """The pixels of a window by label and percent, over those that have both.

    Args:
        percent: (H, W) 0 to 100 where valid.
        valid: (H, W) where the map has a probability.
        labels: (H, W) of the reference.
    """
    counts = [np.bincount(percent[valid & (labels == label)], minlength=PERCENTS) for label in (OTHER, CROPLAND)]
    return np.stack(counts).astype(np.int64)


@dataclass(frozen=True)
class CurvePoint:
    """A threshold, 0 to 1, and the scores of the map that calls cropland what is at least as probable."""

    threshold: float
    precision: float | None
    recall: float | None


@dataclass(frozen=True)
class ReliabilityBin:
    """Pixels of similar probability.

    Attributes:
        low: Lowest probability in the bin.
        high: The next bin's lowest, or 1.
        pixels: How many pixels fall into it.
        mean_probability: Of these; None without any.
        cropland_share: How many of them are cropland; None without any.
    """

    low: float
    high: float
    pixels: int
    mean_probability: float | None
    cropland_share: float | None


def precision_recall_curve(histogram: Histogram) -> list[CurvePoint]:
    """Precision and recall at the thresholds 0, 0.01, ... 1.

    Args:
        histogram: Pixels by label and percent.
    """
    false, true = _at_least(histogram)
    return [
        CurvePoint(percent / 100, ratio(hits, hits + alarms), ratio(hits, int(true[0])))
        for percent, (alarms, hits) in enumerate(zip(false.tolist(), true.tolist(), strict=True))
    ]


def average_precision(histogram: Histogram) -> float | None:
    """The precisions at all thresholds, weighted by what each adds to the recall; None without cropland.

    Args:
        histogram: Pixels by label and percent.
    """
    false, true = _at_least(histogram)
    if not true[0]:
        return None
    precision = true / np.maximum(true + false, 1)
    return float((histogram[CROPLAND] * precision).sum() / true[0])


def reliability(histogram: Histogram) -> list[ReliabilityBin]:
    """Predicted against observed cropland in ten equally wide bins; the last one holds 100 % too.

    Args:
        histogram: Pixels by label and percent.
    """
    width = (PERCENTS - 1) // RELIABILITY_BINS
    bins = []
    for low in range(0, PERCENTS - 1, width):
        high = low + width
        percents = np.arange(low, high + (high == PERCENTS - 1))
        pixels, cropland = int(histogram[:, percents].sum()), int(histogram[CROPLAND, percents].sum())
        expected = int((histogram[:, percents] * percents).sum())
        bins.append(
            ReliabilityBin(low / 100, high / 100, pixels, ratio(expected, 100 * pixels), ratio(cropland, pixels))
        )
    return bins


def expected_calibration_error(bins: list[ReliabilityBin]) -> float | None:
    """The mean of |mean probability - share of cropland| over the bins, weighted by their pixels; None without any.

    As in Naeini et al. (2015), https://doi.org/10.1609/aaai.v29i1.9602.
    """
    gaps = [
        one.pixels * abs(one.mean_probability - one.cropland_share)
        for one in bins
        if one.mean_probability is not None and one.cropland_share is not None
    ]
    pixels = sum(one.pixels for one in bins)
    return sum(gaps) / pixels if pixels else None


def _at_least(histogram: Histogram) -> Histogram:
    """Pixels by label that have at least each percent, (2, 101)."""
    sums: Histogram = histogram[:, ::-1].cumsum(axis=1)[:, ::-1]
    return sums
