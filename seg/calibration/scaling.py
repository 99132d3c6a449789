"""Calibrated logits: logits divided by a temperature, plus a bias."""

import math
from typing import NamedTuple

import numpy as np

from seg.calibration.curves import Values

SMALLEST_THRESHOLD, LARGEST_THRESHOLD = 2.0**-126, 1 - 2.0**-24
"""Bounds of a calibrated threshold: the smallest normal float32 and the largest float32 below 1. Maps compare float32
probabilities with the threshold."""


class Scaling(NamedTuple):
    """Calibration of a logit: the probability is sigmoid(logit / temperature + bias).

    Attributes:
        temperature: Divisor of the logits, above 0; above 1 for an overconfident network.
        bias: Summand after the division; above 0 for a network that underestimates cropland.
    """

    temperature: float = 1.0
    bias: float = 0.0

    def logits(self, plain: Values) -> Values:
        """Calibrate logits."""
        calibrated: Values = plain / self.temperature + self.bias
        return calibrated

    def probability(self, plain: Values) -> Values:
        """Calibrated probability of uncalibrated logits, 0 to 1."""
        return sigmoid(self.logits(plain))

    def threshold(self, plain: float) -> float:
        """Calibrated threshold that maps the same pixels as an uncalibrated threshold.

        Args:
            plain: Threshold of uncalibrated probabilities, 0 to 1. 0 and 1 do not change. Any other threshold stays
                between 0 and 1, even if its calibrated probability would round to 0 or 1.

        Calibration keeps the order of logits, so the mapped pixels do not change. If probabilities are averaged over
        several views of an image, a few pixels may change.
        """
        if plain in (0, 1) or self == IDENTITY:
            return float(plain)
        logit = (math.log(plain) - math.log1p(-plain)) / self.temperature + self.bias
        # exp(-|logit|) cannot overflow, and is accurate near 0.
        small = math.exp(-abs(logit))
        probability = 1 / (1 + small) if logit > 0 else small / (1 + small)
        return min(max(probability, SMALLEST_THRESHOLD), LARGEST_THRESHOLD)


IDENTITY = Scaling()
"""Scaling that does not change logits."""


def sigmoid(logits: Values) -> Values:
    """Probability of each logit. The formula with tanh does not overflow."""
    probability: Values = 0.5 * (1 + np.tanh(logits / 2))
    return probability
