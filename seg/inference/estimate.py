"""Mean and spread of probabilities that come one after another."""

from typing import NamedTuple

import numpy as np

from seg.inference.backends import Probability


class Estimate(NamedTuple):
    """What views and models say together of an image.

    Attributes:
        probability: (H, W) mean of their probabilities, 0 to 1.
        deviation: (H, W) their standard deviation, 0 to 0.5; None where nobody asked for it.
    """

    probability: Probability
    deviation: Probability | None

    def within(self, window: tuple[slice, slice]) -> "Estimate":
        """That of some rows and columns."""
        return Estimate(self.probability[window], None if self.deviation is None else self.deviation[window])


class RunningEstimate:
    """Mean and standard deviation in one pass, in the memory of two probabilities however many there are.

    The deviation is that of these probabilities, divided by their number, not one fewer: at most 0.5, where half of
    them are 0 and half 1. Its squares are summed around the mean so far, by the update of Youngs and Cramer (1971),
    https://doi.org/10.1080/00401706.1971.10488826: the difference of two large sums would leave noise in float32.

    Args:
        deviation: Whether the deviation is wanted.
    """

    def __init__(self, deviation: bool) -> None:
        self._deviation = deviation
        self._count = 0
        self._sum: Probability | None = None
        self._squares: Probability | None = None

    def add(self, probability: Probability) -> None:
        """Take in one more (H, W) probability, 0 to 1."""
        self._count += 1
        if self._sum is None:
            self._sum = probability
            self._squares = np.zeros_like(probability) if self._deviation else None
            return
        self._sum = self._sum + probability
        if self._squares is not None:
            off = np.float32(self._count) * probability - self._sum
            self._squares += off * off / np.float32(self._count * (self._count - 1))

    def estimate(self) -> Estimate:
        """Mean and deviation of all that came; at least one must have."""
        if self._sum is None:
            raise ValueError("wanted at least one probability")
        count = np.float32(self._count)
        deviation = None if self._squares is None else np.sqrt(self._squares / count)
        return Estimate(self._sum / count, deviation)
