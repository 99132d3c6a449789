"""Samples for tests of augmentation: random samples, painted samples, and comparisons."""

from collections.abc import Sequence
from dataclasses import astuple
from random import Random

import numpy as np
from torch.utils.data import Dataset

from seg.data.augmentation.transform import WithoutCopies, as_data, as_sample
from seg.data.dataset.catalogue import Scene
from seg.data.sample import Example, Sample, SampleKey
from seg.labels import CROPLAND, IGNORE, OTHER
from seg.raster.grid import Grid, read_grid

GARBAGE = np.float32(3e38)
"""Value of invalid pixels. It is finite, and so large that a test detects if it is mixed into valid pixels."""


def augmented(transform: WithoutCopies, sample: Sample, seed: int = 0) -> Sample:
    """Apply a transform to a sample."""
    transform.set_random_state(np.random.default_rng(seed), Random(seed))
    return as_sample(transform(**as_data(sample)))


def grids_of(*scenes: Scene) -> dict[Scene, Grid]:
    """Grid of each scene, as an argument of chip datasets."""
    return {scene: read_grid(scene.image) for scene in scenes}


def sample_of(bands: int, height: int, width: int, seed: int = 0) -> Sample:
    """Random sample with reflectances up to 10000; albumentations would expect 0 to 1."""
    random = np.random.default_rng(seed)
    image = random.uniform(0, 10_000, (bands, height, width)).astype(np.float32)
    mask = random.choice(np.array([OTHER, CROPLAND, IGNORE], dtype=np.uint8), (height, width))
    return Sample(image, mask, random.random((height, width)) > 0.2)


def painted(sample: Sample, invalid: float = GARBAGE) -> Sample:
    """Copy of a sample with its mask in the bands: band 1 is 1 on cropland, band 2 is 1 without a label."""
    image = np.stack([sample.mask == CROPLAND, sample.mask == IGNORE]).astype(np.float32)
    return Sample(np.where(sample.valid, image, np.float32(invalid)), sample.mask, sample.valid)


def assert_paint_shows_the_mask(sample: Sample) -> None:
    """Assert that painted bands agree with the mask at valid pixels whose bands are exactly 0 or 1."""
    cropland, unlabelled = sample.image
    pure = sample.valid & np.isin(cropland, [0, 1]) & np.isin(unlabelled, [0, 1])
    np.testing.assert_array_equal(cropland[pure] == 1, sample.mask[pure] == CROPLAND)
    np.testing.assert_array_equal(unlabelled[pure] == 1, sample.mask[pure] == IGNORE)


def with_invalid(sample: Sample, value: float) -> Sample:
    """Sample with a value in its invalid pixels."""
    return Sample(np.where(sample.valid, sample.image, np.float32(value)), sample.mask, sample.valid)


def same(first: Sample, second: Sample) -> bool:
    """True if two samples are bit-identical."""
    return all(np.array_equal(a, b) for a, b in zip(astuple(first), astuple(second), strict=True))


class OneAfterAnother(Dataset[Example]):
    """Concatenation of several datasets. It is defined here, so that workers do not import test modules."""

    def __init__(self, parts: Sequence[Dataset[Example]]) -> None:
        self.parts = [(part, index) for part in parts for index in range(len(part))]  # type: ignore[arg-type]

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, key: SampleKey) -> Example:
        part, index = self.parts[key.index]
        return part[SampleKey(key.epoch, index)]
