"""Base classes that fit albumentations to samples: stored units, any number of bands, masks with validity."""

from typing import Any

import albumentations as A
import numpy as np
import numpy.typing as npt

from seg.data.sample import Sample

Data = dict[str, npt.NDArray[Any]]
"""A sample as albumentations takes it: `image` (H, W, C) float32, `mask` and `valid` (H, W) uint8."""

Params = dict[str, Any]
"""Random choices of a transform for one sample, by the argument names of its `apply`."""

TARGETS = {"valid": "mask"}
"""Additional targets: albumentations moves validity as it moves a mask."""


def as_data(sample: Sample) -> Data:
    """Convert a sample to what albumentations takes; the image stays a view."""
    return {"image": sample.image.transpose(1, 2, 0), "mask": sample.mask, "valid": sample.valid.astype(np.uint8)}


def as_sample(data: Data) -> Sample:
    """Convert what albumentations returns to a sample; the image stays a view."""
    return Sample(data["image"].transpose(2, 0, 1), data["mask"], data["valid"] == 1)


class WithoutCopies(A.BasicTransform):  # type: ignore[misc]  # albumentations ships no types
    """Apply a transform to arrays of any memory layout.

    albumentations copies each array into contiguous memory before and after every transform. With the bands last, that
    takes longer than most transforms here, which work band by band.
    """

    def apply_with_params(self, params: Params, *args: object, **data: npt.NDArray[Any]) -> Data:
        """Transform the arrays that the transform has a function for.

        Args:
            params: Random choices for the sample.
            args: Not used.
            data: Arrays by name.
        """
        functions = dict(self.targets)
        for name, kind in TARGETS.items():
            if kind in functions:
                functions.setdefault(name, functions[kind])
        return {name: functions[name](array, **params) if name in functions else array for name, array in data.items()}


class ImageTransform(WithoutCopies, A.ImageOnlyTransform):  # type: ignore[misc]  # albumentations ships no types
    """Base of transforms that change pixel values but neither mask nor validity."""


class Dihedral(WithoutCopies, A.D4):  # type: ignore[misc]  # albumentations ships no types
    """One of the eight flips and quarter turns."""
