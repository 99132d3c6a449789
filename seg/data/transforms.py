"""Augmentation; the only place that knows albumentations."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from seg.data.datasets import Sample
from seg.errors import ConfigError
from seg.raster.chips import FloatImage

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it would ask a server for its newest version at import
import albumentations as A


@dataclass(frozen=True, kw_only=True)
class AugmentationConfig:
    """How training samples are changed at random.

    Args:
        dihedral: Flip and turn by quarter turns.
        gain: Standard deviation of a band's factor around 1, one draw a sample and band, plus one shared by all bands.
        offset: Standard deviation of a band's shift, in standard deviations of the band.
        noise: Standard deviation of each pixel's noise, in standard deviations of the band.
    """

    dihedral: bool = True
    gain: float = 0.0
    offset: float = 0.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        """Check the strengths.

        Raises:
            ConfigError: One is negative, infinite or NaN.
        """
        for name in ("gain", "offset", "noise"):
            strength = getattr(self, name)
            if not (math.isfinite(strength) and strength >= 0):
                raise ConfigError(f"data.augmentation.{name} is {strength:g}; wanted a standard deviation, 0 or more")


class Augmentation:
    """Changes a sample at random, its mask and validity moved alike; can be sent to a worker process.

    Args:
        config: Which changes, and how strong.
        std: Each band's standard deviation over the training split, in stored units.
    """

    def __init__(self, config: AugmentationConfig, std: Sequence[float]) -> None:
        steps: list[A.BasicTransform] = []
        if config.dihedral:
            steps.append(A.D4(p=1.0))
        if config.gain or config.offset or config.noise:
            steps.append(RadiometricJitter(config, std))
        self.pipeline = A.Compose(steps, additional_targets={"valid": "mask"})

    def __call__(self, sample: Sample, generator: np.random.Generator) -> Sample:
        """The changed sample; all randomness comes from the generator."""
        self.pipeline.set_random_seed(int(generator.integers(2**32)))
        changed = self.pipeline(
            image=sample.image.transpose(1, 2, 0), mask=sample.mask, valid=sample.valid.astype(np.uint8)
        )
        return Sample(changed["image"].transpose(2, 0, 1), changed["mask"], changed["valid"].astype(bool))


class RadiometricJitter(A.ImageOnlyTransform):
    """Gain, offset and noise a band, for images in any stored units.

    albumentations' own clip to 0..1 or 0..255, which reflectances and digital numbers exceed.

    Args:
        config: The strengths.
        std: Each band's standard deviation, in stored units.
    """

    def __init__(self, config: AugmentationConfig, std: Sequence[float]) -> None:
        super().__init__(p=1.0)
        self.config = config
        self.std = np.asarray(std, dtype=np.float32)

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Draw the factor (C,), the shift (C,) and the noise (H, W, C), the last two in stored units."""
        generator, bands = self.random_generator, self.std.size
        noise = generator.standard_normal(data["image"].shape, dtype=np.float32) if self.config.noise else 0.0
        return {
            "factor": 1 + self.config.gain * (generator.standard_normal() + generator.standard_normal(bands)),
            "shift": self.config.offset * self.std * generator.standard_normal(bands),
            "noise": self.config.noise * self.std * noise,
        }

    def apply(self, img: FloatImage, **params: Any) -> FloatImage:  # noqa: ANN401  the base class asks for it
        """The changed (H, W, C) image."""
        changed: FloatImage = (img * params["factor"] + params["shift"] + params["noise"]).astype(np.float32)
        return changed
