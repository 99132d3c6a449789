"""Average probabilities over models and the views of test-time augmentation."""

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
    """Mean and spread over views and models.

    Attributes:
        probability: (H, W) mean probability, 0 to 1.
        deviation: (H, W) standard deviation, 0 to 0.5; None unless it was asked for.
    """

    probability: Probability
    deviation: Probability | None

    def within(self, window: tuple[slice, slice]) -> "Estimate":
        """The estimate of some rows and columns."""
        return Estimate(self.probability[window], None if self.deviation is None else self.deviation[window])


class RunningEstimate:
    """Mean and standard deviation of probabilities, in one pass and in the memory of two arrays.

    The standard deviation is that of the population (divided by n), so it is at most 0.5. Squares are summed around the
    running mean by the update of Youngs and Cramer (1971), https://doi.org/10.1080/00401706.1971.10488826, because the
    difference of two large sums would leave noise in float32.

    Args:
        deviation: Compute the standard deviation too.
    """

    def __init__(self, deviation: bool) -> None:
        self._deviation = deviation
        self._count = 0
        self._sum: Probability | None = None
        self._squares: Probability | None = None

    def add(self, probability: Probability) -> None:
        """Add one (H, W) probability, 0 to 1."""
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
        """Mean and deviation of all probabilities added so far.

        Raises:
            ValueError: None was added.
        """
        if self._sum is None:
            raise ValueError("wanted at least one probability")
        count = np.float32(self._count)
        deviation = None if self._squares is None else np.sqrt(self._squares / count)
        return Estimate(self._sum / count, deviation)


PendingEstimate = Callable[[], Estimate]
"""Waits for an estimate that is being computed, and returns it."""


class Predictor:
    """Models and their test-time augmentation as one function of a window's pixels.

    Args:
        members: The models; each view of each model has the same weight.
        augmentation: The views.
        uncertainty: Compute the standard deviation over views and models too.

    Attributes:
        alignment: Windows of a scene must begin on multiples of this many pixels.

    Raises:
        ConfigError: The uncertainty is asked for, but there is only one view of one model.
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
                "uncertainty is the spread over views and models, but there is only one view of one model; "
                "add --tta.dihedral=true, --tta.scales=[0.75,1,1.25] or further models"
            )

    @property
    def packages(self) -> list[ModelPackage]:
        """The description of each model."""
        return [member.package for member in self.members]

    @property
    def views(self) -> int:
        """Number of probabilities that are averaged: views times models."""
        return len(self.members) * self.augmentation.views

    @property
    def ahead(self) -> int:
        """Number of views to start before the result of the first is asked for."""
        return max(member.backend.ahead for member in self.members)

    @property
    def fill(self) -> tuple[float, ...]:
        """Value of each band for pixels without data: the training mean, or NaN if the models have different means.

        Each model replaces NaN by its own mean.
        """
        mean = self.members[0].package.mean
        return mean if self._means_agree else (math.nan,) * len(mean)

    @property
    def bounded(self) -> bool:
        """True if every model has a receptive field, so that a halo exists with which no cut can show."""
        return all(package.receptive_field is not None for package in self.packages)

    @property
    def receptive_field(self) -> int:
        """Largest distance in pixels at which an input changes a probability, rounded up to the alignment.

        For a network that sees the whole window, the widest context that it is given.
        """
        return round_up(max(member.reach(self.augmentation) for member in self.members), self.alignment)

    def probability(self, image: FloatImage) -> Probability:
        """The (H, W) probability of a (C, H, W) image, 0 to 1."""
        return self.start(image)().probability

    def start(self, image: FloatImage) -> PendingEstimate:
        """Start the estimate of an image.

        Views are averaged as they finish, so memory does not depend on their number.

        Args:
            image: (C, H, W) in stored units, with invalid pixels set to `fill`.
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
