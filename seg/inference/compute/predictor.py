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
from seg.package.screener import Screener
from seg.raster.chips import FloatImage
from seg.raster.statistics import BandStatistics
from seg.raster.windows import round_up


class Estimate(NamedTuple):
    """Mean and spread over views and models.

    Attributes:
        probability: (H, W) mean probability, 0 to 1.
        deviation: (H, W) standard deviation, 0 to 0.5; None unless uncertainty is computed.
    """

    probability: Probability
    deviation: Probability | None

    def within(self, window: tuple[slice, slice]) -> "Estimate":
        """The estimate within some rows and columns."""
        return Estimate(self.probability[window], None if self.deviation is None else self.deviation[window])


class RunningEstimate:
    """Mean and standard deviation of probabilities, computed in one pass with two arrays.

    This is the population standard deviation (divided by n), so it is at most 0.5. Squared deviations from the running
    mean are summed by the update of Youngs and Cramer (1971), https://doi.org/10.1080/00401706.1971.10488826. The
    common formula subtracts two large sums, which is inexact in float32.

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
            ValueError: No probability was added.
        """
        if self._sum is None:
            raise ValueError("wanted at least one probability")
        count = np.float32(self._count)
        deviation = None if self._squares is None else np.sqrt(self._squares / count)
        return Estimate(self._sum / count if self._count > 1 else self._sum, deviation)


PendingEstimate = Callable[[], Estimate]
"""Function that waits for an estimate and returns the estimate."""


class Predictor:
    """Ensemble of models with test-time augmentation, as a function of a window's pixels.

    Args:
        members: The models; each view of each model has the same weight.
        augmentation: The views.
        uncertainty: Compute the standard deviation over views and models too.
        screener: Finds cells of a scene that need no computing; None to compute all.

    Attributes:
        alignment: Alignment in pixels: the first row and column of a window must be multiples of this number.

    Raises:
        ConfigError: `uncertainty` is set, but there is only one view of one model.
    """

    def __init__(
        self,
        members: Sequence[Member],
        augmentation: TestTimeAugmentation,
        uncertainty: bool = False,
        screener: Screener | None = None,
    ) -> None:
        self.members = tuple(members)
        self.augmentation = augmentation
        self.uncertainty = uncertainty
        self.screener = screener
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
        """Number of further views to start before waiting for the result of the first view."""
        return max(member.backend.ahead for member in self.members)

    @property
    def fill(self) -> tuple[float, ...]:
        """Fill value of each band for invalid pixels: the training mean, or NaN if each model changes the pixels.

        Each model replaces NaN by its own training mean (`Member.own_pixels`).
        """
        mean = self.members[0].package.mean
        return mean if self._same_pixels else (math.nan,) * len(mean)

    @property
    def normalises_scenes(self) -> bool:
        """True if a model needs the statistics of the scene."""
        return any(package.normalises_scenes for package in self.packages)

    def of_scene(self, statistics: BandStatistics | None) -> "Predictor":
        """The models for one scene, with the same networks.

        Args:
            statistics: Statistics of the scene in its stored units; None if no model needs them.
        """
        if statistics is None:
            return self
        members = [member.of_scene(statistics) for member in self.members]
        return Predictor(members, self.augmentation, self.uncertainty)

    @property
    def bounded(self) -> bool:
        """True if every model has a bounded receptive field. Blocks with a halo of this width then leave no seams."""
        return all(package.receptive_field is not None for package in self.packages)

    @property
    def receptive_field(self) -> int:
        """Largest distance in pixels at which an input pixel affects a probability, rounded up to the alignment.

        If the receptive field is unbounded, this is the largest context that is used.
        """
        return round_up(max(member.reach(self.augmentation) for member in self.members), self.alignment)

    def probability(self, image: FloatImage) -> Probability:
        """The (H, W) probability of a (C, H, W) image, 0 to 1."""
        return self.start(image)().probability

    def start(self, image: FloatImage) -> PendingEstimate:
        """Start the estimate of an image.

        Each view is added to the average when it finishes, so memory does not depend on the number of views.

        Args:
            image: (C, H, W) in stored units, with invalid pixels set to `fill`.
        """
        running = RunningEstimate(self.uncertainty)
        waiting: deque[Pending] = deque()

        def collect(most: int) -> None:
            while len(waiting) > most:
                running.add(waiting.popleft()())

        for member in self.members:
            pixels = image if self._same_pixels else member.own_pixels(image)
            for pending in member.start_views(pixels, self.augmentation):
                waiting.append(pending)
                collect(self.ahead)

        def finish() -> Estimate:
            collect(0)
            return running.estimate()

        return finish

    @property
    def _same_pixels(self) -> bool:
        """True if all models take the same pixels, as they are stored."""
        return len({package.mean for package in self.packages}) == 1 and not self.normalises_scenes
