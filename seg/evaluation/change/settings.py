"""What can be chosen when two maps are compared; each field is an option of `scripts/evaluate.py change`."""

from dataclasses import dataclass

from seg.errors import ConfigError
from seg.parcels.settings import square_metres


@dataclass(frozen=True)
class ChangeSettings:
    """Which changes are kept as polygons, and which the probabilities support.

    Attributes:
        min_area: Polygons smaller than this are left out: a number and m2, ha or mu (亩, a fifteenth of a hectare),
            such as 0.5ha; 0 keeps all. The raster and its totals keep every pixel.
        confidence: A change is unsupported where its probability is not above this: the probability of both maps being
            right, which is (1 - before) times after for a gain, and before times (1 - after) for a loss. It supposes
            calibrated probabilities, and that the two maps err independently of each other.
    """

    min_area: str = "0"
    confidence: float = 0.5

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: One is out of range.
        """
        _ = self.min_area_m2
        if not 0 < self.confidence < 1:
            raise ConfigError(f"--confidence is {self.confidence}; wanted a probability above 0 and below 1")

    @property
    def min_area_m2(self) -> float:
        """Smallest polygon that is kept, in square metres."""
        return square_metres(self.min_area, "min-area")
