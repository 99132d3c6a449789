"""Whole scenes of different sizes as training examples."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from seg.data.catalogue import Scene
from seg.labels import IGNORE
from seg.raster.chips import BoolMask, ByteMask, FloatImage, read_chip, whole
from seg.raster.classes import read_classes
from seg.raster.grid import open_raster

Augment = Callable[["Sample", np.random.Generator], "Sample"]


@dataclass(frozen=True)
class Sample:
    """One example before it becomes tensors.

    Attributes:
        image: (C, H, W) float32 in stored units.
        mask: (H, W) uint8 labels.
        valid: (H, W) bool; where it is False the label does not count.
    """

    image: FloatImage
    mask: ByteMask
    valid: BoolMask


class Example(TypedDict):
    """What the dataset gives: image (C, H, W) float32, mask (H, W) uint8, name of the scene."""

    image: Tensor
    mask: Tensor
    name: str


@dataclass(frozen=True)
class SampleKey:
    """Which sample, in which epoch: all that its randomness depends on besides the seed.

    Attributes:
        epoch: From 0.
        index: Position of the scene in the dataset.
    """

    epoch: int
    index: int


@dataclass(frozen=True)
class Reading:
    """How pixels are read.

    Attributes:
        bands: 1-based band indexes.
        fill: Value of an invalid pixel, one a band: the training mean.
        nodata: A further value that means "no data", or None.
    """

    bands: Sequence[int]
    fill: Sequence[float]
    nodata: float | None = None


class SceneDataset(Dataset[Example]):
    """One example a scene, at the scene's own size.

    Args:
        scenes: The scenes.
        reading: How their pixels are read.
        augment: Changes a sample at random; None leaves it.
        seed: With epoch and index, decides all randomness of a sample, whichever worker loads it.
    """

    def __init__(
        self, scenes: Sequence[Scene], reading: Reading, augment: Augment | None = None, seed: int = 0
    ) -> None:
        self.scenes = scenes
        self.reading = reading
        self.augment = augment
        self.seed = seed

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, key: SampleKey | int) -> Example:
        """The example of a key; a bare index means epoch 0.

        Raises:
            RasterError: A file cannot be read, or the mask has unknown values.
        """
        if isinstance(key, int):
            key = SampleKey(0, key)
        scene = self.scenes[key.index]
        sample = read_sample(scene, self.reading)
        if self.augment is not None:
            sample = self.augment(sample, np.random.default_rng([self.seed, key.epoch, key.index]))
        image = np.where(sample.valid, sample.image, np.asarray(self.reading.fill, np.float32)[:, None, None])
        mask = np.where(sample.valid, sample.mask, np.uint8(IGNORE))
        return {
            "image": torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32)),
            "mask": torch.from_numpy(np.ascontiguousarray(mask)),
            "name": scene.image.name,
        }


def read_sample(scene: Scene, reading: Reading) -> Sample:
    """The whole scene; files are opened here, in the process that reads, since GDAL handles survive no fork."""
    with open_raster(scene.image) as image, open_raster(scene.mask) as mask:
        chip = read_chip(image, whole(image), reading.bands, reading.fill, reading.nodata)
        labels = read_classes(mask)
    return Sample(chip.image, labels, chip.valid)
