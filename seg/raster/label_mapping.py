"""Meaning of a mask's stored values: cropland, other, or no label."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from seg.errors import ConfigError
from seg.labels import CROPLAND, IGNORE, OTHER


@dataclass(frozen=True)
class LabelMapping:
    """Meaning of a mask's stored values; by default 0 is other, 1 is cropland and 255 means "no label".

    Attributes:
        cropland: Values of cropland.
        ignore: Values of pixels without a label. 255 always means no label, unless another key lists 255.
        other: Values of other classes, or "rest" for all values that are not listed. With null, 0 means other, unless
            another key lists 0. A value that no key lists is an error.

    Raises:
        ConfigError: No value means cropland, or a value has two meanings.
    """

    cropland: tuple[int, ...] = (CROPLAND,)
    ignore: tuple[int, ...] = (IGNORE,)
    other: tuple[int, ...] | Literal["rest"] | None = None

    def __post_init__(self) -> None:
        if not self.cropland:
            raise ConfigError("labels.cropland is empty; wanted the mask's values of cropland")
        named = [*self.cropland, *self.ignore, *(() if isinstance(self.other, str) else self.other or ())]
        twice = sorted({value for value in named if named.count(value) > 1})
        if twice:
            raise ConfigError(
                f"labels names {twice[0]} twice (cropland {list(self.cropland)}, ignore {list(self.ignore)}, "
                f"other {self.other}); give each value one meaning"
            )

    @property
    def named_other(self) -> tuple[int, ...]:
        """Listed values of other classes."""
        if self.other is not None and self.other != "rest":
            return self.other
        return () if OTHER in (*self.cropland, *self.ignore) else (OTHER,)

    @property
    def without_label(self) -> tuple[int, ...]:
        """Values of pixels without a label."""
        named = IGNORE in (*self.cropland, *self.ignore, *self.named_other)
        return self.ignore if named else (*self.ignore, IGNORE)

    @property
    def plain(self) -> dict[str, list[int] | str | None]:
        """The three settings as JSON values."""
        other = self.other if self.other is None or isinstance(self.other, str) else list(self.other)
        return {"cropland": list(self.cropland), "ignore": list(self.ignore), "other": other}

    def classes(self, values: npt.NDArray[np.generic]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
        """Label of each value (OTHER, CROPLAND or IGNORE), and a mask of values without a meaning.

        Args:
            values: Values as stored, of any real type and shape.
        """
        cropland, ignored = _any_of(values, self.cropland), _any_of(values, self.without_label)
        other = ~(cropland | ignored) if self.other == "rest" else _any_of(values, self.named_other)
        # Sums of products are several times faster than assignments by mask.
        unlabelled = ~(cropland | other)
        classes = cropland * np.uint8(CROPLAND) + other * np.uint8(OTHER) + unlabelled * np.uint8(IGNORE)
        return classes, unlabelled & ~ignored

    def __str__(self) -> str:
        other = f"{self.other}" if self.other == "rest" else list(self.named_other)
        return f"cropland {list(self.cropland)}, other {other}, ignore {list(self.without_label)}"


def _any_of(values: npt.NDArray[np.generic], wanted: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """True for wanted values; for a few wanted values, comparing with each is faster than `np.isin`."""
    found = np.zeros(values.shape, dtype=bool)
    for value in wanted:
        found |= values == value
    return found


PLAIN_LABELS = LabelMapping()
"""Values that this project writes: 0 other, 1 cropland, 255 no label."""
