"""What can be chosen when a sample is drawn, and when it is read back; each field is an option of a script."""

from dataclasses import dataclass
from typing import Literal

from seg.errors import require_option

Allocation = Literal["proportional", "neyman", "equal"]
Unfilled = Literal["refuse", "drop", "other", "cropland"]


@dataclass(frozen=True)
class SampleSettings:
    """How large a sample is, and how it is dealt to the strata.

    Attributes:
        standard_error: Wanted of the overall accuracy, as a share: 0.01 makes a 95 % interval of about plus or minus 2
            percentage points. Null where only the area counts.
        area_error: Wanted standard error of the cropland area, as a share of the mapped cropland; for maps of cropland
            and other.
        points: Size of the sample; both errors are then only told, not kept to.
        users_accuracy: What share of each mapped class is expected to be right: one number, or one a class as in
            {cropland: 0.8, other: 0.95}. A guess too high makes the sample too small.
        allocation: proportional deals pixels by the strata's areas, neyman also by how unsure their classes are,
            equal the same to each.
        minimum: A stratum gets so many pixels at least, if it has them, so that its accuracy can be told.
        seed: Another seed draws another sample.
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
            ConfigError: A value cannot work.
        """
        for name, error in (("standard-error", self.standard_error), ("area-error", self.area_error)):
            require_option(error is None or 0 < error < 1, name, error, "a share above 0 and below 1, or null")
        require_option(self.points is None or self.points >= 2, "points", self.points, "at least 2")
        guesses = self.users_accuracy if isinstance(self.users_accuracy, dict) else {"": self.users_accuracy}
        for guess in guesses.values():
            require_option(0 < guess < 1, "users-accuracy", guess, "shares above 0 and below 1")
        require_option(self.minimum >= 2, "minimum", self.minimum, "at least 2")
        require_option(self.seed >= 0, "seed", self.seed, "0 or more")
        sized = self.points is not None or self.standard_error is not None or self.area_error is not None
        require_option(
            sized, "standard-error", None, "an error to reach here or as --area-error, or a size as --points"
        )


@dataclass(frozen=True)
class AreaSettings:
    """How the references of a sample become areas; each field is an option of `scripts/evaluate.py area`.

    Attributes:
        unfilled: What a point without a reference is: refuse ends with an error; drop leaves it out, which is right
            where points were missed by chance, and wrong where the difficult ones were; other and cropland count it as
            that class, which shows how far the areas could be off.
        confidence: Of the intervals, above 0 and below 1.
    """

    unfilled: Unfilled = "refuse"
    confidence: float = 0.95

    def __post_init__(self) -> None:
        """Check the range.

        Raises:
            ConfigError: The confidence is out of it.
        """
        require_option(
            0 < self.confidence < 1, "confidence", self.confidence, "a share above 0 and below 1, such as 0.95"
        )
