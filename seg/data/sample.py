"""One training example, before and after it becomes tensors."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor

from seg.labels import IGNORE
from seg.raster.chips import (
    BoolMask,
    ByteMask,
    FloatImage,
    Reading,
)

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
