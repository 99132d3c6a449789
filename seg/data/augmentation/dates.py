"""Dates of multi-date samples: drop dates at random, and group bands by date."""

from collections.abc import Callable, Iterator, Sequence

import albumentations as A
import numpy as np

from seg.data.augmentation.radiometric import with_means
from seg.data.augmentation.transform import Data, Params, WithoutCopies
from seg.raster.chips import BoolMask, ByteMask, FloatImage
from seg.raster.date_bands import UNDATED, DateMask


class DropDates(WithoutCopies, A.DualTransform):  # type: ignore[misc]  # albumentations ships no types
    """Drop dates at random, as if they lay under clouds: set their bands to the mean. At least one date is kept.

    A pixel becomes invalid if none of the kept dates has data there.

    Args:
        probability: Probability that a date is dropped.
        mean: (C,) value of dropped bands: the mean over the training split.
        dates: Date of each band, from `seg.raster.date_bands.dates_of`; bands without a date are never dropped.
    """

    def __init__(self, probability: float, mean: FloatImage, dates: Sequence[int]) -> None:
        super().__init__(p=1)
        self.probability, self.mean, self.dates = probability, mean, np.asarray(dates)

    @property
    def targets(self) -> dict[str, Callable[..., np.ndarray]]:
        """Function for each array of a sample, by name."""
        return {"image": self.apply, "valid": self.apply_to_valid}

    def get_params_dependent_on_data(self, params: Params, data: Data) -> Params:
        """Draw the dates to drop."""
        number = int(self.dates.max()) + 1
        dropped = self.random_generator.random(number) < self.probability
        dropped[self.random_generator.integers(number)] &= not dropped.all()
        lost = None
        if "missing" in data:
            bits = sum(1 << int(date) for date in np.flatnonzero(dropped))
            lost = (data["missing"] | np.uint16(bits)) == (1 << number) - 1
        return {"dropped": np.isin(self.dates, np.flatnonzero(dropped)), "lost": lost}

    def apply(self, image: FloatImage, *, dropped: BoolMask, **params: object) -> FloatImage:
        """The (H, W, C) image with means in the bands of dropped dates."""
        return with_means(image, self.mean, dropped)

    def apply_to_valid(self, layer: ByteMask, *, lost: BoolMask | None, **params: object) -> ByteMask:
        """The (H, W) validity, set to 0 at pixels where no kept date has data."""
        return layer if lost is None else np.where(lost, np.uint8(0), layer)


def bands_by_date(dates: Sequence[int], missing: DateMask) -> Iterator[tuple[list[int], BoolMask]]:
    """Yield, for each date, the positions of its bands and an (H, W) mask that is True where the date has data.

    Args:
        dates: Date of each band, from `seg.raster.date_bands.dates_of`.
        missing: (H, W) bits of the dates without data.
    """
    for date in sorted(set(dates)):
        present = np.ones(missing.shape, bool) if date == UNDATED else (missing >> date & 1) == 0
        yield [place for place, other in enumerate(dates) if other == date], present
