"""Counts and curves of a probability map in percent."""

import numpy as np
import numpy.typing as npt

from seg.calibration.curves import PrecisionRecallCurve, ReliabilityCurve, precision_recall_curve, reliability_curve
from seg.labels import CROPLAND, OTHER
from seg.raster.chips import BoolMask, ByteMask

PERCENTS = 101
RELIABILITY_BINS = 10

Histogram = npt.NDArray[np.int64]
"""(2, 101) pixels by label, other before cropland, and by percent."""


def count_percents(percent: ByteMask, valid: BoolMask, labels: ByteMask) -> Histogram:
    """Count the pixels of a window by label and percent, where both are known.

    Args:
        percent: (H, W) 0 to 100 where valid.
        valid: (H, W) True where the map has a probability.
        labels: (H, W) labels of the reference.
    """
    counts = [np.bincount(percent[valid & (labels == label)], minlength=PERCENTS) for label in (OTHER, CROPLAND)]
    return np.stack(counts).astype(np.int64)


def percent_reliability(histogram: Histogram) -> ReliabilityCurve:
    """Reliability curve in ten bins; the last one includes 100 %.

    Args:
        histogram: Pixels by label and percent.
    """
    return reliability_curve(histogram, np.arange(PERCENTS, dtype=np.float64), RELIABILITY_BINS, full=100.0)


def percent_precision_recall(histogram: Histogram) -> PrecisionRecallCurve:
    """Precision and recall at the thresholds 0, 0.01, ... 1.

    Args:
        histogram: Pixels by label and percent.
    """
    return precision_recall_curve(histogram, np.arange(PERCENTS) / 100)
