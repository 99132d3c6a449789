"""Of the pixels at 70 %, how many are cropland? Reliability curve and calibration error."""

from dataclasses import dataclass

import numpy as np

from seg.calibration.histogram import CENTRES, Counts, Values
from seg.calibration.scaling import IDENTITY, Scaling

DEFAULT_BINS = 15


@dataclass(frozen=True, eq=False)
class ReliabilityCurve:
    """Predicted against observed cropland in equally wide bins of the probability from 0 to 1, a value a bin.

    Attributes:
        pixels: How many pixels fell into the bin.
        cropland: How many of them are cropland.
        expected: How many should be: the sum of their probabilities.
    """

    pixels: Counts
    cropland: Counts
    expected: Values

    @property
    def predicted(self) -> Values:
        """Mean probability of each bin's pixels; NaN where there is none."""
        return _share(self.expected, self.pixels)

    @property
    def observed(self) -> Values:
        """Share of each bin's pixels that are cropland; NaN where there is none."""
        return _share(self.cropland, self.pixels)

    def __add__(self, other: "ReliabilityCurve") -> "ReliabilityCurve":
        return ReliabilityCurve(
            self.pixels + other.pixels, self.cropland + other.cropland, self.expected + other.expected
        )


def reliability_curve(counts: Counts, scaling: Scaling = IDENTITY, bins: int = DEFAULT_BINS) -> ReliabilityCurve:
    """The reliability curve of counted logits.

    Args:
        counts: (2, BINS) pixels by label and bin of the logit.
        scaling: What is done to the logits first.
        bins: Number of bins of the probability.
    """
    probability = scaling.probability(CENTRES)
    place = np.minimum((probability * bins).astype(np.int64), bins - 1)
    pixels, cropland = np.zeros((2, bins), dtype=np.int64)
    # By `add.at`, in integers: bincount would sum weights as floats.
    np.add.at(pixels, place, counts.sum(axis=0))
    np.add.at(cropland, place, counts[1])
    expected: Values = np.bincount(place, counts.sum(axis=0) * probability, bins).astype(np.float64)
    return ReliabilityCurve(pixels, cropland, expected)


def expected_calibration_error(curve: ReliabilityCurve) -> float:
    """The mean of |predicted - observed| over the bins, weighted by their pixels, 0 to 1; 0 without any pixel.

    This is the error of the probability of cropland, as Naeini et al. (2015), Obtaining Well Calibrated Probabilities
    Using Bayesian Binning, https://doi.org/10.1609/aaai.v29i1.9602, define it for two classes and torchmetrics computes
    it. Guo et al. (2017), https://arxiv.org/abs/1706.04599, take the probability of the predicted class instead, where
    errors of the two classes can cancel out.
    """
    return float(np.abs(curve.expected - curve.cropland).sum() / max(int(curve.pixels.sum()), 1))


def _share(part: Counts | Values, pixels: Counts) -> Values:
    with np.errstate(invalid="ignore"):
        share: Values = part / pixels
    return share
