"""What the stored values of a mask mean: cropland, other, or no label."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from seg.errors import ConfigError
from seg.labels import CROPLAND, IGNORE, OTHER


@dataclass(frozen=True)
class LabelMapping:
    """What the stored values of a mask mean; by default 0 is other, 1 cropland, 255 no label, and all else an error.

    Attributes:
        cropland: Values of cropland.
        ignore: Values of no label. 255 is one too, unless it is named as something else.
        other: Values of other classes, or "rest" for every value that is not named. null is 0 alone, unless 0 is named
            as something else. A value that is none of these is an error.

    Raises:
        ConfigError: No value is cropland, or one means two things.
    """

    cropland: tuple[int, ...] = (CROPLAND,)
    ignore: tuple[int, ...] = (IGNORE,)
    other: tuple[int, ...] | Literal["rest"] | None = None

    def __post_init__(self) -> None:
        if not self.cropland:
            raise ConfigError("labels.cropland is empty; wanted the values of the mask that are cropland")
        named = [*self.cropland, *self.ignore, *(() if isinstance(self.other, str) else self.other or ())]
        twice = sorted({value for value in named if named.count(value) > 1})
        if twice:
            raise ConfigError(
                f"labels names {twice[0]} twice (cropland {list(self.cropland)}, ignore {list(self.ignore)}, "
                f"other {self.other}); give each value one meaning"
            )

    @property
    def named_other(self) -> tuple[int, ...]:
        """The values that are other by name, not as the rest."""
        if self.other is not None and self.other != "rest":
            return self.other
        return () if OTHER in (*self.cropland, *self.ignore) else (OTHER,)

    @property
    def without_label(self) -> tuple[int, ...]:
        """The values of no label."""
        named = IGNORE in (*self.cropland, *self.ignore, *self.named_other)
        return self.ignore if named else (*self.ignore, IGNORE)

    @property
    def plain(self) -> dict[str, list[int] | str | None]:
        """The three settings as plain values, for a file."""
        other = self.other if self.other is None or isinstance(self.other, str) else list(self.other)
        return {"cropland": list(self.cropland), "ignore": list(self.ignore), "other": other}

    def classes(self, values: npt.NDArray[np.generic]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
        """OTHER, CROPLAND or IGNORE for each value, and where a value means none of them.

        Args:
            values: As stored, of any real type and shape.
        """
        cropland, ignored = _any_of(values, self.cropland), _any_of(values, self.without_label)
        other = ~(cropland | ignored) if self.other == "rest" else _any_of(values, self.named_other)
        # Sums of products take a fraction of the time of assignments by mask.
        unlabelled = ~(cropland | other)
        classes = cropland * np.uint8(CROPLAND) + other * np.uint8(OTHER) + unlabelled * np.uint8(IGNORE)
        return classes, unlabelled & ~ignored

    def __str__(self) -> str:
        other = f"{self.other}" if self.other == "rest" else list(self.named_other)
        return f"cropland {list(self.cropland)}, other {other}, ignore {list(self.without_label)}"


def _any_of(values: npt.NDArray[np.generic], wanted: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Where values are one of the wanted; a comparison each is faster than `np.isin` for the few that masks have."""
    found = np.zeros(values.shape, dtype=bool)
    for value in wanted:
        found |= values == value
    return found


PLAIN_LABELS = LabelMapping()
"""The values that this project writes: 0 other, 1 cropland, 255 no label."""
