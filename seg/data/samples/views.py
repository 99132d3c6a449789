"""Labelled examples, each with a clean view and strongly changed views of an unlabelled scene."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch.utils.data import Dataset

from seg.data.augmentation.mixing import random_rectangle
from seg.data.augmentation.pipeline import Augmentation, AugmentationConfig
from seg.data.dataset.unlabelled import AnyScene
from seg.data.sample import Augment, Example, Sample, SampleKey, filled_image, filled_percent, joined_missing
from seg.errors import ConfigError
from seg.labels import IGNORE
from seg.raster.chips import ByteMask, Reading

_STRONG, _CUT = 4, 5
"""Numbers of the random streams for strong changes and for CutMix."""


@dataclass(frozen=True, kw_only=True)
class ViewConfig:
    """Settings of the strongly changed views of unlabelled samples.

    In each strong view, a student learns the probabilities that a teacher predicts for the clean view. The clean view
    is flipped, rotated and zoomed as configured in `data.augmentation`. Strong changes modify values only, so pixels do
    not move. The default strengths are several times as large as suitable strengths for labelled samples.

    Args:
        count: Strong views of each unlabelled sample; 0 loads no unlabelled sample. The task student sets 2.
        cut_mix: Share of the strong views that get a rectangle of another unlabelled sample of the same size. If it is
            above 0, each example has two clean images, and the teacher predicts both.
        gain: Each band is multiplied by 1 plus two random numbers with this standard deviation; one number is drawn for
            the band, the other for all bands.
        offset: Standard deviation of a band's shift, in standard deviations of the band.
        noise: Standard deviation of the noise of a pixel, in standard deviations of the band.
        resolution: Coarsest resolution: the image is blurred as if its pixels were up to 1 + resolution times as large.
        haze: Thickest haze in the first band, in standard deviations of the band.
        shadow: Darkest shadow of a random polygon, from 0 (none) to 1 (as dark as the darkest pixels).
        band_dropout: Probability that a band is set to its mean; at least one band stays.
        frequency: Probability of each of these changes of a view: coarser resolution, haze, shadow. Each change is
            drawn separately.

    Raises:
        ConfigError: A number is out of range.
    """

    count: int = 0
    cut_mix: float = 0.5
    gain: float = 0.1
    offset: float = 0.2
    noise: float = 0.1
    resolution: float = 0.5
    haze: float = 0.5
    shadow: float = 0.3
    band_dropout: float = 0.1
    frequency: float = 0.5

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.count < 0:
            raise ConfigError(f"data.views.count is {self.count}; wanted 0 or more")
        if not 0 <= self.cut_mix <= 1:
            raise ConfigError(f"data.views.cut_mix is {self.cut_mix:g}; wanted a share of the views, 0 to 1")
        try:
            _ = self.strong
        except ConfigError as error:
            raise ConfigError(str(error).replace("data.augmentation.", "data.views.")) from error

    @property
    def strong(self) -> AugmentationConfig:
        """The strong changes as settings of an augmentation."""
        return AugmentationConfig(
            dihedral=False,
            gain=self.gain,
            offset=self.offset,
            noise=self.noise,
            resolution=self.resolution,
            haze=self.haze,
            shadow=self.shadow,
            band_dropout=self.band_dropout,
            frequency=self.frequency,
        )


class UnlabelledSamples(Protocol):
    """Augmented samples of unlabelled scenes: random chips, or whole scenes."""

    reading: Reading

    def sample(self, key: SampleKey) -> tuple[AnyScene, Sample]:
        """Scene and sample of a key."""

    def partner(self, key: SampleKey) -> Sample:
        """Another sample of the same size, to mix into the sample of a key."""


class WithViews(Dataset[Example]):
    """Examples of a labelled dataset, each with views of an unlabelled sample.

    Args:
        labelled: Labelled examples.
        unlabelled: Unlabelled samples; the index and the epoch of an example select one of them.
        config: Number and mixing of the views.
        strong: Strong changes of values.
        seed: Seed of the strong changes.
    """

    def __init__(
        self,
        labelled: Dataset[Example],
        unlabelled: UnlabelledSamples,
        config: ViewConfig,
        strong: Augment,
        seed: int,
    ) -> None:
        self.labelled, self.unlabelled, self.config, self.strong, self.seed = labelled, unlabelled, config, strong, seed

    def __len__(self) -> int:
        return len(self.labelled)  # type: ignore[arg-type]  # every dataset here has a length

    def __getitem__(self, key: SampleKey | int) -> Example:
        """Example of a key with its views; a bare index means epoch 0.

        Raises:
            RasterError: A file cannot be read.
        """
        if isinstance(key, int):
            key = SampleKey(0, key)
        return {**self.labelled[key], **self._views(key)}  # type: ignore[typeddict-item]  # of the same names

    def _views(self, key: SampleKey) -> dict[str, object]:
        # In each epoch, an index is combined with a different unlabelled sample.
        place = SampleKey(key.epoch, key.index + key.epoch)
        scene, first = self.unlabelled.sample(place)
        samples = [first, self.unlabelled.partner(place)] if self.config.cut_mix else [first]
        views = [self._strong_view(samples, key, view) for view in range(self.config.count)]
        found: dict[str, object] = {
            "clean": self._stacked(samples),
            "strong": torch.stack([self._stacked([view])[0] for view, _ in views]),
            "source": torch.from_numpy(np.stack([source for _, source in views])),
            "unlabelled": scene.image.name,
        }
        percents = [filled_percent(sample, sample.percent) for sample in samples if sample.percent is not None]
        return found | {"clean_percent": torch.from_numpy(np.stack(percents))} if percents else found

    def _strong_view(self, samples: Sequence[Sample], key: SampleKey, view: int) -> tuple[Sample, ByteMask]:
        """One changed view, and the index of the sample that each pixel comes from, IGNORE where it has no data."""
        changed = [self.strong(sample, self._random(key, _STRONG, view, i)) for i, sample in enumerate(samples)]
        mixed, source = changed[0], np.zeros(changed[0].mask.shape, np.uint8)
        random = self._random(key, _CUT, view)
        if len(samples) > 1 and random.random() < self.config.cut_mix:
            source[random_rectangle(source.shape, random)] = 1
            inside = source == 1
            mixed = Sample(
                np.where(inside, changed[1].image, mixed.image),
                np.where(inside, changed[1].mask, mixed.mask),
                np.where(inside, changed[1].valid, mixed.valid),
                missing=joined_missing(inside, changed[1].missing, mixed.missing),
            )
        return mixed, np.where(mixed.valid, source, np.uint8(IGNORE))

    def _stacked(self, samples: Sequence[Sample]) -> torch.Tensor:
        return torch.from_numpy(np.stack([filled_image(sample, self.unlabelled.reading) for sample in samples]))

    def _random(self, key: SampleKey, *purpose: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, key.epoch, key.index, *purpose])


def clean_changes(
    config: AugmentationConfig, mean: Sequence[float], std: Sequence[float], dates: Sequence[int] = ()
) -> Augmentation:
    """Augmentation of clean views: the changes of labelled samples that move pixels but keep their values.

    Args:
        config: Augmentation of labelled samples.
        mean: Mean of each band over the training split, in stored units.
        std: Standard deviation of each band.
        dates: Date of each band; () unless there are several dates.
    """
    moved = AugmentationConfig(
        dihedral=config.dihedral,
        scale=config.scale,
        rotation=config.rotation,
        frequency=config.frequency,
        extra=[extra for extra in config.extra if extra.moves],
    )
    return Augmentation(moved, std, mean, dates)


def strong_changes(
    config: ViewConfig, mean: Sequence[float], std: Sequence[float], dates: Sequence[int] = ()
) -> Augmentation:
    """Augmentation that makes strong views.

    Args:
        config: Strengths of the changes.
        mean: Mean of each band over the training split, in stored units.
        std: Standard deviation of each band.
        dates: Date of each band; () unless there are several dates.
    """
    return Augmentation(config.strong, std, mean, dates)


def view_bytes(pixels: int, bands: int, config: ViewConfig) -> int:
    """Size of the views of one sample in bytes, including alignment padding.

    Args:
        pixels: Pixels of the largest unlabelled sample.
        bands: Number of bands.
        config: Number of views; 0 views need 0 bytes.
    """
    if not config.count:
        return 0
    clean = 2 if config.cut_mix else 1
    return pixels * (4 * bands * (clean + config.count) + clean + config.count) + 512
