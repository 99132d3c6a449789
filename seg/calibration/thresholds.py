"""Where to cut the probability: for the best F1, or so that the mapped area is unbiased."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from seg.calibration.histogram import (
    CENTRES,
    EDGES,
    Counts,
    Values,
)
from seg.calibration.scaling import IDENTITY, Scaling


class PrecisionRecallCurve(NamedTuple):
    """Precision and recall of cropland at each threshold, which are the edges between the bins of the logit.

    Attributes:
        threshold: Probability above which a pixel counts as cropland, rising.
        precision: Share of the pixels above it that are cropland; 1 where there is none.
        recall: Share of cropland that lies above it; 0 where there is no cropland.
    """

    threshold: Values
    precision: Values
    recall: Values


def precision_recall_curve(counts: Counts, scaling: Scaling = IDENTITY) -> PrecisionRecallCurve:
    """The precision-recall curve of counted logits.

    Args:
        counts: (2, BINS) pixels by label and bin of the logit.
        scaling: What is done to the logits first; it moves the thresholds alone.
    """
    hits, mapped = _above(counts[1]), _above(counts.sum(axis=0))
    return PrecisionRecallCurve(
        threshold=scaling.probability(EDGES),
        precision=np.where(mapped > 0, hits / np.maximum(mapped, 1), 1.0),
        recall=hits / max(int(counts[1].sum()), 1),
    )


def best_f1_threshold(counts: Counts, scaling: Scaling = IDENTITY) -> float | None:
    """The threshold with the highest F1 of cropland; None where not both labels occur.

    Of thresholds that do equally well, the one nearest to 0.5.
    """
    if not counts.sum(axis=1).all():
        return None
    f1 = 2 * _above(counts[1]) / (_above(counts.sum(axis=0)) + counts[1].sum())
    return _nearest_to_half(f1 == f1.max(), scaling)


def unbiased_area_threshold(counts: Counts, scaling: Scaling = IDENTITY) -> float | None:
    """The threshold above which as many pixels lie as are cropland; None where not both labels occur.

    Of thresholds that do equally well, the one nearest to 0.5.
    """
    if not counts.sum(axis=1).all():
        return None
    bias = np.abs(_above(counts.sum(axis=0)) - counts[1].sum())
    return _nearest_to_half(bias == bias.min(), scaling)


def mapped_share(counts: Counts, threshold: float, scaling: Scaling = IDENTITY) -> float:
    """Share of the labelled pixels whose probability is above a threshold; 0 without any."""
    pixels = counts.sum(axis=0)
    above = scaling.probability(CENTRES) > threshold
    return float(pixels[above].sum() / max(int(pixels.sum()), 1))


def _above(pixels: Counts) -> Counts:
    """How many of (BINS,) pixels lie above each of the BINS + 1 edges."""
    total: Counts = np.append(pixels[::-1].cumsum()[::-1], 0)
    return total


def _nearest_to_half(candidate: npt.NDArray[np.bool_], scaling: Scaling) -> float:
    edges = EDGES[candidate]
    # By the logit: probabilities near 0 and 1 round to the same numbers.
    return float(scaling.probability(edges[np.abs(scaling.logits(edges)).argmin()]))
