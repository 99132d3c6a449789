"""A training example as arrays and as tensors, and the key that identifies a sample."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NotRequired, TypedDict

import numpy as np
import torch
from torch import Tensor

from seg.labels import IGNORE
from seg.raster.chips import BoolMask, ByteMask, FloatImage, Reading
from seg.raster.date_bands import DateMask, missing_bands

Augment = Callable[["Sample", np.random.Generator], "Sample"]
"""Function that changes a sample at random; all random numbers come from the generator."""


@dataclass(frozen=True)
class Sample:
    """Training example as arrays.

    Attributes:
        image: (C, H, W) float32 in stored units.
        mask: (H, W) uint8 label values.
        valid: (H, W) bool; labels of invalid pixels do not count.
        percent: (H, W) uint8 probability of cropland in a teacher's map, 0 to 100; IGNORE where the map has no data.
            None if there is no map.
        missing: (H, W) bits of the dates without data, as in `Chip`; None if no date is missing.
    """

    image: FloatImage
    mask: ByteMask
    valid: BoolMask
    percent: ByteMask | None = None
    missing: DateMask | None = None


class Example(TypedDict):
    """Training example as tensors.

    Attributes:
        image: (C, H, W) float32 in stored units.
        mask: (H, W) uint8 labels.
        name: Name of the scene.
        percent: (H, W) uint8, as in `Sample`; only if there is a teacher's map.
        clean: (K, C, H, W) images of unlabelled scenes; K is 2 if views mix two scenes, otherwise 1.
        strong: (V, C, H, W) strongly changed views of these images.
        source: (V, H, W) uint8 index of the clean image that each pixel of a view comes from; IGNORE where the view has
            no data.
        clean_percent: (K, H, W) uint8 probability of the teacher's map for each clean image, in the form of `percent`.
        unlabelled: Name of the scene of the first clean image.
    """

    image: Tensor
    mask: Tensor
    name: str
    percent: NotRequired[Tensor]
    clean: NotRequired[Tensor]
    strong: NotRequired[Tensor]
    source: NotRequired[Tensor]
    clean_percent: NotRequired[Tensor]
    unlabelled: NotRequired[str]


@dataclass(frozen=True)
class SampleKey:
    """Identity of a sample; together with the seed, it determines all random choices for the sample.

    Attributes:
        epoch: Number of the epoch, from 0.
        index: Position in the dataset.
        padding: True for a sample that is repeated so that all training processes get the same number of batches. Such
            a sample does not affect the training.
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
    mask = sample.mask if sample.valid.all() else np.where(sample.valid, sample.mask, np.uint8(IGNORE))
    example: Example = {
        "image": torch.from_numpy(filled_image(sample, reading)),
        "mask": torch.from_numpy(np.ascontiguousarray(mask)),
        "name": name,
    }
    if sample.percent is not None:
        example["percent"] = torch.from_numpy(filled_percent(sample, sample.percent))
    return example


def filled_image(sample: Sample, reading: Reading) -> FloatImage:
    """The (C, H, W) image of a sample with the fill value in its invalid pixels and in the bands of missing dates."""
    image, fill = sample.image, np.asarray(reading.fill, np.float32)[:, None, None]
    if not sample.valid.all():
        image = np.where(sample.valid, image, fill)
    if sample.missing is not None and reading.dates:
        image = np.where(missing_bands(sample.missing, reading.dates), fill, image)
    return np.ascontiguousarray(image, dtype=np.float32)


def joined_missing(inside: BoolMask, one: DateMask | None, other: DateMask | None) -> DateMask | None:
    """Bits of missing dates: those of the first sample inside a (H, W) region, those of the second sample outside."""
    if one is None and other is None:
        return None
    nothing = np.uint16(0)
    return np.where(inside, nothing if one is None else one, nothing if other is None else other)


def filled_percent(sample: Sample, percent: ByteMask) -> ByteMask:
    """The (H, W) percents of a sample with IGNORE in its invalid pixels."""
    return np.ascontiguousarray(np.where(sample.valid, percent, np.uint8(IGNORE)))


def example_bytes(height: int, width: int, bands: int) -> int:
    """Size of an example's tensors in bytes, including alignment padding."""
    return height * width * (4 * bands + 1) + 128
