"""The probability of a window, averaged over models and the views of test-time augmentation."""

import math
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from seg.errors import ConfigError
from seg.inference.augmentation import TestTimeAugmentation
from seg.inference.compute.backends import Pending, Probability
from seg.inference.compute.member import Member
from seg.package.description import ModelPackage
from seg.raster.chips import FloatImage
from seg.raster.windows import round_up


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


PendingEstimate = Callable[[], Estimate]
"""Waits for an estimate that is being computed, and gives it."""


class Predictor:
    """One model or several, and their test-time augmentation, as one function of a window's pixels.

    Args:
        members: The models; every view of each counts alike.
        augmentation: Which views are averaged.
        uncertainty: Give the standard deviation over views and models too.

    Attributes:
        alignment: Pixels to which windows of a scene must align.

    Raises:
        ConfigError: The uncertainty of a single view of a single model is asked for.
    """

    def __init__(
        self, members: Sequence[Member], augmentation: TestTimeAugmentation, uncertainty: bool = False
    ) -> None:
        self.members = tuple(members)
        self.augmentation = augmentation
        self.uncertainty = uncertainty
        self.alignment = math.lcm(*(augmentation.alignment(member.package.stride) for member in members))
        if uncertainty and self.views < 2:
            raise ConfigError(
                "uncertainty is the spread over views and models, and there is one view of one model; "
                "add --tta.dihedral=true, --tta.scales=[0.75,1,1.25] or further models"
            )

    @property
    def packages(self) -> list[ModelPackage]:
        """What is known of each model."""
        return [member.package for member in self.members]

    @property
    def views(self) -> int:
        """How many probabilities are averaged: the views of each model."""
        return len(self.members) * self.augmentation.views

    @property
    def ahead(self) -> int:
        """Views worth starting before the first one's result is asked for."""
        return max(member.backend.ahead for member in self.members)

    @property
    def fill(self) -> tuple[float, ...]:
        """One value a band for pixels without data: the training mean, or NaN where each model puts its own there."""
        mean = self.members[0].package.mean
        return mean if self._means_agree else (math.nan,) * len(mean)

    @property
    def bounded(self) -> bool:
        """Whether every model has a receptive field, with which no cut can show."""
        return all(package.receptive_field is not None for package in self.packages)

    @property
    def receptive_field(self) -> int:
        """Pixels over which an input can reach a probability, to each side, rounded up to the alignment.

        For a network that sees the whole of a window, the widest context it is given.
        """
        return round_up(max(member.reach(self.augmentation) for member in self.members), self.alignment)

    def probability(self, image: FloatImage) -> Probability:
        """The (H, W) probability of a (C, H, W) image, 0 to 1."""
        return self.start(image)().probability

    def start(self, image: FloatImage) -> PendingEstimate:
        """Begin with what is estimated of a (C, H, W) image in stored units, its invalid pixels filled with `fill`.

        Views are averaged as they are done, so that memory does not depend on their number.
        """
        running = RunningEstimate(self.uncertainty)
        waiting: deque[Pending] = deque()

        def collect(most: int) -> None:
            while len(waiting) > most:
                running.add(waiting.popleft()())

        for member in self.members:
            pixels = image if self._means_agree else member.with_own_fill(image)
            for pending in member.start_views(pixels, self.augmentation):
                waiting.append(pending)
                collect(self.ahead)

        def finish() -> Estimate:
            collect(0)
            return running.estimate()

        return finish

    @property
    def _means_agree(self) -> bool:
        return len({package.mean for package in self.packages}) == 1
