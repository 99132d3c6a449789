"""Training example as arrays and as tensors, and the key that identifies it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor

from seg.labels import IGNORE
from seg.raster.chips import BoolMask, ByteMask, FloatImage, Reading

Augment = Callable[["Sample", np.random.Generator], "Sample"]
"""Function that changes a sample at random, with all random numbers from the generator."""


@dataclass(frozen=True)
class Sample:
    """Training example as arrays.

    Attributes:
        image: (C, H, W) float32 in stored units.
        mask: (H, W) uint8 label values.
        valid: (H, W) bool; labels of invalid pixels do not count.
    """

    image: FloatImage
    mask: ByteMask
    valid: BoolMask


class Example(TypedDict):
    """Training example as tensors: image (C, H, W) float32, mask (H, W) uint8, and name of the scene."""

    image: Tensor
    mask: Tensor
    name: str


@dataclass(frozen=True)
class SampleKey:
    """Identity of a sample; with the seed, it determines all random choices for the sample.

    Attributes:
        epoch: Number of the epoch, from 0.
        index: Position in the dataset.
        padding: True for a repeated sample that fills the last round of several processes and does not count.
    """

    epoch: int
    index: int
    padding: bool = False


def example_of(sample: Sample, reading: Reading, name: str) -> Example:
    """Convert a sample to tensors; invalid pixels get the fill value and the label "ignore".

    Args:
        sample: Sample, augmented or not.
        reading: Settings of reading, including the fill values.
        name: Name of the scene.
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
    """Size of an example's tensors in bytes, including alignment padding."""
    return height * width * (4 * bands + 1) + 128
