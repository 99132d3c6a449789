"""Options for drawing a sample and for estimating areas from it."""

from dataclasses import dataclass
from typing import Literal

from seg.errors import require_option
from seg.raster.vectors.settings import require_encoding

Allocation = Literal["proportional", "neyman", "equal"]
Unfilled = Literal["refuse", "drop", "other", "cropland"]

MOST_POINTS = 1_000_000
"""Largest size of a sample, more than anyone interprets."""


@dataclass(frozen=True)
class SampleSettings:
    """Size and allocation of a sample.

    Attributes:
        standard_error: Target standard error of the overall accuracy, as a share: 0.01 gives a 95 % interval of about
            plus or minus 2 percentage points. Null if only `area_error` determines the size.
        area_error: Target standard error of the cropland area, as a share of the mapped cropland; for maps of cropland
            and other.
        points: Size of the sample; it replaces both targets.
        users_accuracy: Expected share of correct pixels in each mapped class: one number, or one number for each class,
            such as {cropland: 0.8, other: 0.95}. If the expected share is too high, the sample is too small.
        allocation: Rule that divides the pixels among the strata. proportional: by area. neyman: by area and by the
            uncertainty of the class. equal: the same number for each stratum.
        minimum: Smallest number of pixels drawn in a stratum (or all, if the stratum has fewer), so that its accuracy
            can be estimated.
        seed: Seed of the draw.
    """

    standard_error: float | None = 0.01
    area_error: float | None = None
    points: int | None = None
    users_accuracy: float | dict[str, float] = 0.8
    allocation: Allocation = "proportional"
    minimum: int = 50
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ConfigError: A value is out of range.
        """
        for name, error in (("standard-error", self.standard_error), ("area-error", self.area_error)):
            require_option(error is None or 0 < error < 1, name, error, "a share above 0 and below 1, or null")
        most = f"2 to {MOST_POINTS:,}"
        require_option(self.points is None or 2 <= self.points <= MOST_POINTS, "points", self.points, most)
        guesses = self.users_accuracy if isinstance(self.users_accuracy, dict) else {"": self.users_accuracy}
        for guess in guesses.values():
            require_option(0 < guess < 1, "users-accuracy", guess, "shares above 0 and below 1")
        require_option(2 <= self.minimum <= MOST_POINTS, "minimum", self.minimum, most)
        require_option(self.seed >= 0, "seed", self.seed, "0 or more")
        sized = self.points is not None or self.standard_error is not None or self.area_error is not None
        require_option(sized, "standard-error", None, "a number, or --area-error, or --points")


@dataclass(frozen=True)
class AreaSettings:
    """Options of the area estimate.

    Attributes:
        unfilled: Treatment of points without a reference. refuse: end with an error. drop: leave these points out; this
            is valid only if references are missing at random, and not mostly at difficult points. other or cropland:
            count these points as this class, to see how much the areas could change.
        confidence: Confidence of the intervals, above 0 and below 1.
        encoding: Encoding of the text of the points, such as GBK; null for the encoding that the file states.
    """

    unfilled: Unfilled = "refuse"
    confidence: float = 0.95
    encoding: str | None = None

    def __post_init__(self) -> None:
        """Check the range.

        Raises:
            ConfigError: The confidence is out of range, or the encoding is unknown.
        """
        require_encoding(self.encoding)
        require_option(
            0 < self.confidence < 1, "confidence", self.confidence, "a share above 0 and below 1, such as 0.95"
        )
