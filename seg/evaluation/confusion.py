"""Confusion counts of two classes, and the one place where counts become scores.

Python integers and no tensors: exact at any raster size, and evaluation starts without importing torch. The scores
equal torchmetrics', which training uses; a test holds the two against each other.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seg.labels import CROPLAND, OTHER


@dataclass(frozen=True)
class ConfusionCounts:
    """Pixels by mapped and true class, where cropland is the positive one. A score that is undefined is 0.

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
        return ConfusionCounts(self.tp + more.tp, self.fp + more.fp, self.fn + more.fn, self.tn + more.tn)

    @property
    def compared(self) -> int:
        """Pixels that have a label and a mapped class."""
        return self.tp + self.fp + self.fn + self.tn

    @property
    def iou(self) -> float:
        """Intersection over union of cropland."""
        return _ratio(self.tp, self.tp + self.fp + self.fn)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; also called Dice."""
        return _ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def precision(self) -> float:
        """Share of mapped cropland that is cropland: the user's accuracy."""
        return _ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float:
        """Share of cropland that is mapped as cropland: the producer's accuracy."""
        return _ratio(self.tp, self.tp + self.fn)

    @property
    def overall_accuracy(self) -> float:
        """Share of compared pixels that are mapped right."""
        return _ratio(self.tp + self.tn, self.compared)

    @property
    def kappa(self) -> float:
        """Cohen's kappa, -1 to 1: agreement beyond what the two class shares give by chance."""
        chance = (self.tp + self.fp) * (self.fp + self.tn) + (self.tp + self.fn) * (self.fn + self.tn)
        return _ratio(2 * (self.tp * self.tn - self.fp * self.fn), chance)

    def scores(self) -> dict[str, float]:
        """Every score by its name."""
        return {
            "iou": self.iou,
            "f1": self.f1,
            "precision": self.precision,
            "recall": self.recall,
            "overall_accuracy": self.overall_accuracy,
            "kappa": self.kappa,
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


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
