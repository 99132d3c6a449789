"""Options for mapping change between two maps."""

from dataclasses import dataclass

from seg.errors import ConfigError
from seg.parcels.settings import square_metres


@dataclass(frozen=True)
class ChangeSettings:
    """Changes kept as polygons, and their support by probabilities.

    Attributes:
        min_area: Smallest polygon to keep: a number with m2, ha or mu (亩, a fifteenth of a hectare), such as 0.5ha; 0
            keeps all. The raster and its totals keep every pixel.
        confidence: A change is supported if the probability that both maps are right is above this number. That is (1 -
            before) times after for a gain, and before times (1 - after) for a loss, with calibrated probabilities and
            independent errors of the two maps.
    """

    min_area: str = "0"
    confidence: float = 0.5

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: A value is out of range.
        """
        _ = self.min_area_m2
        if not 0 < self.confidence < 1:
            raise ConfigError(f"--confidence is {self.confidence}; wanted a probability above 0 and below 1")

    @property
    def min_area_m2(self) -> float:
        """Smallest polygon to keep, in square metres."""
        return square_metres(self.min_area, "min-area")
