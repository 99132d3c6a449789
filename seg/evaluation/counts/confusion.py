"""Counts of a class map and of a probability map by true class, and the scores and curves computed from them.

Counts are Python integers, which are exact at any raster size. Training computes its scores with torchmetrics.
Evaluation has its own formulas, so that it need not import torch; a test compares the two implementations.
"""

import math
from dataclasses import astuple, dataclass

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

from seg.calibration.curves import PrecisionRecallCurve, ReliabilityCurve, precision_recall_curve, reliability_curve
from seg.labels import CROPLAND, OTHER
from seg.raster.chips import BoolMask, ByteMask


@dataclass(frozen=True)
class ConfusionCounts:
    """Number of pixels by mapped and true class; cropland is positive. A score of 0 divided by 0 is None.

    Attributes:
        tp: Pixels of cropland mapped as cropland.
        fp: Pixels of class other mapped as cropland.
        fn: Pixels of cropland mapped as other.
        tn: Pixels of class other mapped as other.
    """

    tp: int = 0
    fp: int = 0
    fn: int = 0
    tn: int = 0

    def __add__(self, more: "ConfusionCounts") -> "ConfusionCounts":
        """Sum of two counts."""
        return ConfusionCounts(*(one + other for one, other in zip(astuple(self), astuple(more), strict=True)))

    @property
    def compared(self) -> int:
        """Number of pixels that have a label and a mapped class."""
        return self.tp + self.fp + self.fn + self.tn

    @property
    def iou(self) -> float | None:
        """Intersection over union of cropland."""
        return ratio(self.tp, self.tp + self.fp + self.fn)

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall; also called Dice."""
        return ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def precision(self) -> float | None:
        """User's accuracy: the share of the mapped cropland that is cropland."""
        return ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float | None:
        """Producer's accuracy: the share of cropland that is mapped as cropland."""
        return ratio(self.tp, self.tp + self.fn)

    @property
    def overall_accuracy(self) -> float | None:
        """Share of the compared pixels that are mapped correctly."""
        return ratio(self.tp + self.tn, self.compared)

    @property
    def kappa(self) -> float | None:
        """Cohen's kappa, -1 to 1: agreement beyond the agreement expected by chance from the class shares."""
        chance = (self.tp + self.fp) * (self.fp + self.tn) + (self.tp + self.fn) * (self.fn + self.tn)
        return ratio(2 * (self.tp * self.tn - self.fp * self.fn), chance)

    @property
    def mcc(self) -> float | None:
        """Matthews correlation coefficient of map and reference, -1 to 1."""
        pairs = (self.tp + self.fp) * (self.tp + self.fn), (self.tn + self.fp) * (self.tn + self.fn)
        scale = math.sqrt(pairs[0]) * math.sqrt(pairs[1])  # The product may exceed the range of a float.
        # Rounding could move a perfect score out of its range.
        return max(-1.0, min(1.0, (self.tp * self.tn - self.fp * self.fn) / scale)) if scale else None

    def scores(self) -> dict[str, float | None]:
        """Every score by its name."""
        return {
            "iou": self.iou,
            "f1": self.f1,
            "precision": self.precision,
            "recall": self.recall,
            "overall_accuracy": self.overall_accuracy,
            "kappa": self.kappa,
            "mcc": self.mcc,
        }


def count_pixels(mapped: NDArray[np.uint8], labels: NDArray[np.uint8]) -> ConfusionCounts:
    """Confusion counts of two arrays of the same shape; pixels that are IGNORE in one of the arrays are left out.

    Args:
        mapped: Classes of the map: OTHER, CROPLAND or IGNORE.
        labels: Labels of the reference: OTHER, CROPLAND or IGNORE.
    """
    mapped_crop, mapped_other = mapped == CROPLAND, mapped == OTHER
    crop, other = labels == CROPLAND, labels == OTHER
    return ConfusionCounts(
        tp=int(np.count_nonzero(mapped_crop & crop)),
        fp=int(np.count_nonzero(mapped_crop & other)),
        fn=int(np.count_nonzero(mapped_other & crop)),
        tn=int(np.count_nonzero(mapped_other & other)),
    )


def ratio(part: int, whole: int) -> float | None:
    """Ratio of two numbers; None for 0 divided by 0."""
    return part / whole if whole else None


PERCENTS = 101
RELIABILITY_BINS = 10

Histogram = npt.NDArray[np.int64]
"""(2, 101) number of pixels by label (other, cropland) and by percent."""


def count_percents(percent: ByteMask, valid: BoolMask, labels: ByteMask) -> Histogram:
    """Count the pixels of a window that have a label and a probability, by label and percent.

    Args:
        percent: (H, W) 0 to 100 where valid.
        valid: (H, W) True where the map has a probability.
        labels: (H, W) labels of the reference.
    """
    counts = [np.bincount(percent[valid & (labels == label)], minlength=PERCENTS) for label in (OTHER, CROPLAND)]
    return np.stack(counts).astype(np.int64)


def percent_reliability(histogram: Histogram) -> ReliabilityCurve:
    """Reliability curve in ten bins; the last bin includes 100 %.

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
