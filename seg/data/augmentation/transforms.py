"""Augmentation; the only place that knows albumentations."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seg.data.augmentation.geometric import coarsen, zoom_and_turn
from seg.data.augmentation.radiometric import add_haze, cast_shadow, drop_bands
from seg.data.sample import Sample
from seg.errors import ConfigError
from seg.raster.chips import FloatImage

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it would ask a server for its newest version at import
import albumentations as A

LIMITS: dict[str, tuple[float, str]] = {
    "gain": (math.inf, "a standard deviation, 0 or more"),
    "offset": (math.inf, "a standard deviation, 0 or more"),
    "noise": (math.inf, "a standard deviation, 0 or more"),
    "scale": (4, "0 to 4"),
    "rotation": (45, "0 to 45 degrees; quarter turns are data.augmentation.dihedral"),
    "resolution": (15, "0 to 15, for pixels up to 16 times as large"),
    "haze": (math.inf, "a number of standard deviations, 0 or more"),
    "shadow": (1, "a share, 0 to 1"),
    "band_dropout": (1, "a probability, 0 to 1"),
    "frequency": (1, "a share, 0 to 1"),
}
"""The largest value of each strength, and what is wanted in words."""


@dataclass(frozen=True, kw_only=True)
class AugmentationConfig:
    """How training samples are changed at random.

    Args:
        dihedral: Flip and turn by quarter turns.
        gain: Standard deviation of a band's factor around 1, one draw a sample and band, plus one shared by all bands.
        offset: Standard deviation of a band's shift, in standard deviations of the band.
        noise: Standard deviation of each pixel's noise, in standard deviations of the band.
        scale: Strongest zoom: things get up to 1 + scale times as large or as small, as often one as the other.
        rotation: Largest turn to either side in degrees. What a zoom or a turn brings in from outside is ignored.
        resolution: Coarsest ground resolution: the image is blurred as if its pixels were up to 1 + resolution times as
            large; the mask stays.
        haze: Thickest veil, in standard deviations of the band, on the first band; later bands, which should be those
            of longer waves, get less.
        shadow: Darkest shadow of a random polygon: the share of the way to the darkest pixels.
        band_dropout: How often a band is put to its mean; at least one band is kept.
        frequency: Share of the samples that zoom and turn, resolution, haze, and shadow each change, with a strength
            drawn uniformly up to the largest.
    """

    dihedral: bool = True
    gain: float = 0.0
    offset: float = 0.0
    noise: float = 0.0
    scale: float = 0.0
    rotation: float = 0.0
    resolution: float = 0.0
    haze: float = 0.0
    shadow: float = 0.0
    band_dropout: float = 0.0
    frequency: float = 0.5

    def __post_init__(self) -> None:
        """Check the strengths.

        Raises:
            ConfigError: One is negative, too large, infinite or NaN.
        """
        for name, (largest, wanted) in LIMITS.items():
            strength = getattr(self, name)
            if not (math.isfinite(strength) and 0 <= strength <= largest):
                raise ConfigError(f"data.augmentation.{name} is {strength:g}; wanted {wanted}")


class Augmentation:
    """Changes a sample at random, its mask and validity moved alike; can be sent to a worker process.

    Steps follow nature's order: where the sensor looks, how sharp it sees, light, air, the sensor's own errors.

    Args:
        config: Which changes, and how strong.
        std: Each band's standard deviation over the training split, in stored units.
        mean: Each band's mean over it, for bands that are dropped; by default that of the sample's valid pixels.
    """

    def __init__(self, config: AugmentationConfig, std: Sequence[float], mean: Sequence[float] | None = None) -> None:
        self.config = config
        self.std = np.asarray(std, dtype=np.float32)
        self.mean = None if mean is None else np.asarray(mean, dtype=np.float32)
        self.flips = A.Compose([A.D4(p=1.0)] if config.dihedral else [], additional_targets={"valid": "mask"})

    def __call__(self, sample: Sample, generator: np.random.Generator) -> Sample:
        """The changed sample; all randomness comes from the generator."""
        # Flips and jitter have a stream of their own, so that other changes, on or off, leave theirs as they are.
        self.flips.set_random_seed(int(generator.integers(2**32)))
        flipped = self.flips(
            image=sample.image.transpose(1, 2, 0), mask=sample.mask, valid=sample.valid.astype(np.uint8)
        )
        sample = Sample(flipped["image"].transpose(2, 0, 1), flipped["mask"], flipped["valid"].astype(bool))
        sample = self._see(sample, generator)
        sample = self._light(sample, generator)
        if self.config.gain or self.config.offset or self.config.noise:
            image = jitter(sample.image, self.config, self.std, self.flips.random_generator)
            sample = Sample(image, sample.mask, sample.valid)
        if self.config.band_dropout:
            sample = drop_bands(sample, self.config.band_dropout, generator, self.mean)
        return sample

    def _see(self, sample: Sample, generator: np.random.Generator) -> Sample:
        """Zoom, turn and blur."""
        config = self.config
        if (config.scale or config.rotation) and generator.random() < config.frequency:
            factor = math.exp(generator.uniform(-1, 1) * math.log1p(config.scale))
            sample = zoom_and_turn(sample, factor, generator.uniform(-1, 1) * config.rotation)
        if config.resolution and generator.random() < config.frequency:
            sample = coarsen(sample, 1 + generator.random() * config.resolution)
        return sample

    def _light(self, sample: Sample, generator: np.random.Generator) -> Sample:
        """Shadow, and haze above it."""
        config = self.config
        if config.shadow and generator.random() < config.frequency:
            sample = cast_shadow(sample, generator.random() * config.shadow, generator)
        if config.haze and generator.random() < config.frequency:
            veil = np.float32(generator.random() * config.haze) * self.std
            sample = Sample(add_haze(sample.image, veil, generator), sample.mask, sample.valid)
        return sample


def jitter(
    image: FloatImage, config: AugmentationConfig, std: FloatImage, generator: np.random.Generator
) -> FloatImage:
    """The (C, H, W) image with a gain and an offset a band and noise a pixel, never clipped.

    albumentations' own clip to 0..1 or 0..255, which reflectances and digital numbers exceed.

    Args:
        image: In any stored units.
        config: The strengths.
        std: (C,) each band's standard deviation, in stored units.
        generator: Draws all three.
    """
    pixels = image.transpose(1, 2, 0)
    noise = generator.standard_normal(pixels.shape, dtype=np.float32) if config.noise else 0.0
    factor = 1 + config.gain * (generator.standard_normal() + generator.standard_normal(std.size))
    shift = config.offset * std * generator.standard_normal(std.size)
    with np.errstate(over="ignore"):  # an invalid pixel may hold the largest float there is
        changed: FloatImage = (pixels * factor + shift + config.noise * std * noise).astype(np.float32)
    return changed.transpose(2, 0, 1)
