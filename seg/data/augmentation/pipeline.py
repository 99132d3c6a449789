"""Augmentation of training samples: settings, and the pipeline of transforms."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

import albumentations as A
import numpy as np

from seg.data.augmentation.dates import DropDates
from seg.data.augmentation.extra import ExtraTransform, build_extras
from seg.data.augmentation.geometric import Coarsen, ZoomAndTurn
from seg.data.augmentation.radiometric import DropBands, Haze, Jitter, Season, Shadow
from seg.data.augmentation.transform import TARGETS, Dihedral, as_data, as_sample
from seg.data.sample import Sample
from seg.errors import ConfigError
from seg.raster.chips import FloatImage

DROP_DATES = 1000
"""Number of the random stream of dropped dates, larger than the numbers of all other streams."""

SEASON = 1001
"""Number of the random stream of season-like shifts."""

LIMITS: dict[str, tuple[float, str]] = {
    "gain": (math.inf, "a standard deviation, 0 or more"),
    "offset": (math.inf, "a standard deviation, 0 or more"),
    "noise": (math.inf, "a standard deviation, 0 or more"),
    "season": (math.inf, "a standard deviation, 0 or more"),
    "scale": (4, "0 to 4"),
    "rotation": (45, "0 to 45 degrees; quarter turns are data.augmentation.dihedral"),
    "resolution": (15, "0 to 15, for pixels up to 16 times as large"),
    "haze": (math.inf, "a number of standard deviations, 0 or more"),
    "shadow": (1, "a share, 0 to 1"),
    "band_dropout": (1, "a probability, 0 to 1"),
    "date_dropout": (1, "a probability, 0 to 1"),
    "frequency": (1, "a share, 0 to 1"),
}
"""Largest accepted value of each strength, and the accepted range in words."""


@dataclass(frozen=True, kw_only=True)
class AugmentationConfig:
    """Random changes of training samples.

    Args:
        dihedral: Flip and turn by quarter turns.
        gain: Each band is multiplied by 1 plus two random numbers with this standard deviation; one number is drawn for
            the band, the other for all bands.
        offset: Standard deviation of a band's shift, in standard deviations of the band.
        noise: Standard deviation of the noise of a pixel, in standard deviations of the band.
        season: Strength of the change between two dates, in which bands change differently on green and on bare fields.
            To each band, a random share of the contrast of each other band is added; this is the standard deviation of
            the share.
        scale: Strongest zoom: objects are enlarged or shrunk by a factor of up to 1 + scale; both are equally probable.
        rotation: Largest rotation to either side in degrees. Pixels of the result that lie outside the sample are
            ignored.
        resolution: Coarsest ground resolution: the image is blurred as if its pixels were up to 1 + resolution times as
            large; the mask does not change.
        haze: Thickest haze in the first band, in standard deviations of the band. Haze decreases from the first band to
            the last, so bands should be ordered by increasing wavelength.
        shadow: Darkest shadow of a random polygon, from 0 (none) to 1 (as dark as the darkest pixels).
        band_dropout: Probability of setting a band to its mean; at least one band stays.
        date_dropout: Probability of setting all bands of a date to their means, in images of several dates (bands such
            as `B04@2024-05-11`), so that a model can map pixels where a date is missing; at least one date stays.
        frequency: Probability of each of these changes of a sample: zoom with rotation, coarser resolution, haze,
            shadow. Each change is drawn separately, and its strength is uniformly distributed from 0 to its largest
            value.
        extra: Transforms of albumentations, each with a `name` and its `arguments`, applied after the other changes.
            For these transforms, the range of the valid pixels of each band in the sample is scaled to 0..1.
    """

    dihedral: bool = True
    gain: float = 0.0
    offset: float = 0.0
    noise: float = 0.0
    season: float = 0.0
    scale: float = 0.0
    rotation: float = 0.0
    resolution: float = 0.0
    haze: float = 0.0
    shadow: float = 0.0
    band_dropout: float = 0.0
    date_dropout: float = 0.0
    frequency: float = 0.5
    extra: list[ExtraTransform] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Check the strengths.

        Raises:
            ConfigError: A strength is negative, too large, infinite or NaN.
        """
        for name, (largest, wanted) in LIMITS.items():
            strength = getattr(self, name)
            if not (math.isfinite(strength) and 0 <= strength <= largest):
                raise ConfigError(f"data.augmentation.{name} is {strength:g}; wanted {wanted}")


def require_dates(config: AugmentationConfig, dates: Sequence[int]) -> None:
    """Check that the bands have several dates if dates are to be dropped.

    Args:
        config: Kinds and strengths of the changes.
        dates: Date of each band; () unless there are several dates.

    Raises:
        ConfigError: Dates are to be dropped, but the bands have fewer than two dates.
    """
    if config.date_dropout and not dates:
        raise ConfigError(
            f"data.augmentation.date_dropout is {config.date_dropout:g}, but the bands have fewer than two dates; "
            "wanted bands with names such as B04@2024-05-11 and B04@2024-08-03, or set it to 0"
        )


class Augmentation:
    """Random changes of samples; mask and validity move with the image. Can be pickled for worker processes.

    The transforms are applied in the order of the physical effects: orientation and resolution of the sensor, light,
    air, sensor errors.

    Args:
        config: Kinds and strengths of the changes.
        std: Standard deviation of each band over the training split, in stored units.
        mean: Mean of each band over the training split, for dropped bands.
        dates: Date of each band, from `seg.raster.date_bands.dates_of`; () unless there are several dates.

    Raises:
        ConfigError: An extra transform does not fit the number of bands, or dates are to be dropped, but the bands have
            fewer than two dates.
    """

    def __init__(
        self, config: AugmentationConfig, std: Sequence[float], mean: Sequence[float], dates: Sequence[int] = ()
    ) -> None:
        require_dates(config, dates)
        found = dict(_transforms(config, np.asarray(std, np.float32), np.asarray(mean, np.float32), dates))
        self._streams = list(found.items())
        self._compose = A.Compose(list(found.values()), additional_targets=TARGETS)

    def __call__(self, sample: Sample, generator: np.random.Generator) -> Sample:
        """Return a changed sample; all random numbers come from the generator."""
        # Each transform has its own random stream, so that switching a transform on or off does not change the others.
        seed = int(generator.integers(2**63))
        for stream, transform in self._streams:
            random = np.random.default_rng([seed, stream])
            transform.set_random_state(random, Random(int(random.integers(2**63))))
        return as_sample(self._compose(**as_data(sample)))


def _transforms(
    config: AugmentationConfig, std: FloatImage, mean: FloatImage, dates: Sequence[int]
) -> Iterator[tuple[int, A.BasicTransform]]:
    """Transforms of a configuration in the order of application, each with the number of its random stream."""
    if config.dihedral:
        yield 0, Dihedral(p=1)
    if config.scale or config.rotation:
        yield 1, ZoomAndTurn(config.scale, config.rotation, config.frequency, max(dates, default=-1) + 1)
    if config.resolution:
        yield 2, Coarsen(config.resolution, config.frequency, dates)
    if config.shadow:
        yield 3, Shadow(config.shadow, config.frequency)
    if config.haze:
        yield 4, Haze(config.haze, std, config.frequency)
    if config.season:
        yield SEASON, Season(config.season, mean, std)
    if config.gain or config.offset or config.noise:
        yield 5, Jitter(config.gain, config.offset, config.noise, std)
    if config.band_dropout:
        yield 6, DropBands(config.band_dropout, mean)
    if config.date_dropout:
        yield DROP_DATES, DropDates(config.date_dropout, mean, dates)
    yield from enumerate(build_extras(config.extra, len(std)), start=7)
