"""Whole scenes of different sizes as training examples, and what all kinds of examples share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from seg.data.catalogue import Scene
from seg.data.watch import watched
from seg.labels import IGNORE
from seg.raster.chips import BoolMask, ByteMask, FloatImage, Reading, read_chip, whole
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
        padding: Whether it only keeps one of several processes in step with the others, and is to count nowhere.
    """

    epoch: int
    index: int
    padding: bool = False


class SceneDataset(Dataset[Example]):
    """One example a scene, at the scene's own size.

    Args:
        scenes: The scenes.
        reading: How their pixels are read.
        augment: Changes a sample at random; None leaves it.
        seed: With epoch and index, decides all randomness of a sample, whichever worker loads it.
        upright: Transpose an example that augmentation turned on its side, so that scenes of one size stay of one size.
    """

    def __init__(
        self,
        scenes: Sequence[Scene],
        reading: Reading,
        augment: Augment | None = None,
        seed: int = 0,
        upright: bool = False,
    ) -> None:
        self.scenes = scenes
        self.reading = reading
        self.augment = augment
        self.seed = seed
        self.upright = upright

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
        with watched(str(scene.image)):
            sample = read_sample(scene, self.reading)
            shape = sample.mask.shape
            if self.augment is not None:
                sample = self.augment(sample, np.random.default_rng([self.seed, key.epoch, key.index]))
            if self.upright and sample.mask.shape == shape[::-1] != shape:
                sample = Sample(sample.image.transpose(0, 2, 1), sample.mask.T, sample.valid.T)
            return example_of(sample, self.reading, scene.image.name)


def read_sample(scene: Scene, reading: Reading) -> Sample:
    """The whole scene; files are opened here, in the process that reads, since GDAL handles survive no fork."""
    with open_raster(scene.image) as image, open_raster(scene.mask) as mask:
        chip = read_chip(image, whole(image), reading)
        labels = read_classes(mask, labels=scene.labels)
    return Sample(chip.image, labels, chip.valid)


def example_of(sample: Sample, reading: Reading, name: str) -> Example:
    """The tensors of a sample: where it is not valid, pixels hold the fill value and labels are ignored.

    Args:
        sample: Read, and changed or not.
        reading: How it was read.
        name: Of the scene.
    """
    image, mask = sample.image, sample.mask
    if not sample.valid.all():
        image = np.where(sample.valid, image, np.asarray(reading.fill, np.float32)[:, None, None])
        mask = np.where(sample.valid, mask, np.uint8(IGNORE))
    return {
        "image": torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32)),
        "mask": torch.from_numpy(np.ascontiguousarray(mask)),
        "name": name,
    }


def example_bytes(height: int, width: int, bands: int) -> int:
    """What the tensors of an example of that many pixels and bands take, with room to align them."""
    return height * width * (4 * bands + 1) + 128
