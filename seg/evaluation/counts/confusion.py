"""Confusion counts of two classes and the scores computed from them.

Counts are Python integers, exact at any raster size, and evaluation starts without importing torch. A test holds the
scores against those of torchmetrics, which training uses.
"""

import math
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from seg.labels import CROPLAND, OTHER


@dataclass(frozen=True)
class ConfusionCounts:
    """Pixels by mapped and true class; cropland is positive. A score that would be 0 divided by 0 is None.

    Attributes:
        tp: Cropland mapped as cropland.
        fp: Other mapped as cropland.
        fn: Cropland mapped as other.
        tn: Other mapped as other.
    """

    tp: int = 0
    fp: int = 0
    fn: int = 0
    tn: int = 0

    def __add__(self, more: "ConfusionCounts") -> "ConfusionCounts":
        """Counts of both areas together."""
        return ConfusionCounts(*(one + other for one, other in zip(astuple(self), astuple(more), strict=True)))

    @property
    def compared(self) -> int:
        """Pixels that have a label and a mapped class."""
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
        """User's accuracy: the share of mapped cropland that is cropland."""
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
        """Cohen's kappa, -1 to 1: agreement beyond chance, given the class shares of map and reference."""
        chance = (self.tp + self.fp) * (self.fp + self.tn) + (self.tp + self.fn) * (self.fn + self.tn)
        return ratio(2 * (self.tp * self.tn - self.fp * self.fn), chance)

    @property
    def mcc(self) -> float | None:
        """Matthews correlation coefficient of map and reference, -1 to 1."""
        pairs = (self.tp + self.fp) * (self.tp + self.fn), (self.tn + self.fp) * (self.tn + self.fn)
        scale = math.sqrt(pairs[0]) * math.sqrt(pairs[1])  # the product may exceed the range of a float
        # Rounding can take a perfect score out of its range.
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
    """Confusion counts of two arrays of one shape, over the pixels that are IGNORE in neither.

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
    """A share; None if it would be 0 divided by 0."""
    return part / whole if whole else None
