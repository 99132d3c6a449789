"""From plain to calibrated logits: divided by a temperature, moved by a bias."""

import math
from typing import NamedTuple

import numpy as np

from seg.calibration.histogram import Values

SMALLEST_THRESHOLD, LARGEST_THRESHOLD = 2.0**-126, 1 - 2.0**-24
"""The float32 next to 0 without loss of digits, and that next below 1: maps compare probabilities as float32."""


class Scaling(NamedTuple):
    """What makes a calibrated probability of a logit: sigmoid(logit / temperature + bias).

    Attributes:
        temperature: Above 0; above 1 where the network is too sure of itself.
        bias: Above 0 where it finds too little cropland.
    """

    temperature: float = 1.0
    bias: float = 0.0

    def logits(self, plain: Values) -> Values:
        """The calibrated logits of plain ones."""
        calibrated: Values = plain / self.temperature + self.bias
        return calibrated

    def probability(self, plain: Values) -> Values:
        """The calibrated probability of plain logits, 0 to 1."""
        return sigmoid(self.logits(plain))

    def threshold(self, plain: float) -> float:
        """The calibrated probability above which lie the pixels whose plain one is above a threshold.

        Args:
            plain: The threshold of plain probabilities, 0 to 1; 0 and 1 stay what they are. Any other stays between
                them, also where the logit is so large that its probability would round to one of them.

        Calibration keeps the order of logits, so that the same pixels are mapped; of the mean over several views of an
        image, that is so only nearly.
        """
        if plain in (0, 1) or self == IDENTITY:
            return float(plain)
        logit = (math.log(plain) - math.log1p(-plain)) / self.temperature + self.bias
        # Each side by the exponential that cannot overflow, and to the last digit however near to 0.
        small = math.exp(-abs(logit))
        probability = 1 / (1 + small) if logit > 0 else small / (1 + small)
        return min(max(probability, SMALLEST_THRESHOLD), LARGEST_THRESHOLD)


IDENTITY = Scaling()
"""Leaves logits as they are."""


def sigmoid(logits: Values) -> Values:
    """The probability of each logit; by tanh, which overflows nowhere."""
    probability: Values = 0.5 * (1 + np.tanh(logits / 2))
    return probability
