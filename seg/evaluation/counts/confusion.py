"""Confusion counts of two classes, and the one place where counts become scores.

Python integers and no tensors: exact at any raster size, and evaluation starts without importing torch. The scores
equal torchmetrics', which training uses, wherever they are defined; a test holds the two against each other.
"""

import math
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from seg.labels import CROPLAND, OTHER


@dataclass(frozen=True)
class ConfusionCounts:
    """Pixels by mapped and true class, where cropland is the positive one. A score that is 0 divided by 0 is None.

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
        """The counts of both areas together."""
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
        """Share of mapped cropland that is cropland: the user's accuracy."""
        return ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float | None:
        """Share of cropland that is mapped as cropland: the producer's accuracy."""
        return ratio(self.tp, self.tp + self.fn)

    @property
    def overall_accuracy(self) -> float | None:
        """Share of compared pixels that are mapped right."""
        return ratio(self.tp + self.tn, self.compared)

    @property
    def kappa(self) -> float | None:
        """Cohen's kappa, -1 to 1: agreement beyond what the two class shares give by chance."""
        chance = (self.tp + self.fp) * (self.fp + self.tn) + (self.tp + self.fn) * (self.fn + self.tn)
        return ratio(2 * (self.tp * self.tn - self.fp * self.fn), chance)

    @property
    def mcc(self) -> float | None:
        """Matthews correlation coefficient, -1 to 1: of map and reference as variables of 0 and 1."""
        pairs = (self.tp + self.fp) * (self.tp + self.fn), (self.tn + self.fp) * (self.tn + self.fn)
        scale = math.sqrt(pairs[0]) * math.sqrt(pairs[1])  # not of the product, which floats may not hold
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
    """The confusion counts of two arrays of one shape, over pixels that are neither IGNORE.

    Args:
        mapped: OTHER, CROPLAND or IGNORE.
        labels: OTHER, CROPLAND or IGNORE.
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
    """A share, or None where it would be 0 divided by 0."""
    return part / whole if whole else None
