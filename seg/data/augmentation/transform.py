"""Base classes that adapt albumentations to samples in stored units, with any number of bands and a validity mask."""

from typing import Any

import albumentations as A
import numpy as np
import numpy.typing as npt

from seg.data.sample import Sample

Data = dict[str, npt.NDArray[Any]]
"""A sample in the form of albumentations: `image`, (H, W, C) float32; `mask`, `valid` and, if there is a teacher's map,
`percent`, each (H, W) uint8."""

Params = dict[str, Any]
"""Random choices of a transform for one sample, by the argument names of its `apply`."""

TARGETS = {"valid": "mask", "percent": "mask", "missing": "mask"}
"""Targets in addition to image and mask. albumentations treats validity, the percents of a teacher's map and missing
dates like masks."""


def as_data(sample: Sample) -> Data:
    """Convert a sample to the form of albumentations; the image is a view of the sample's image."""
    data: Data = {"image": sample.image.transpose(1, 2, 0), "mask": sample.mask, "valid": sample.valid.astype(np.uint8)}
    optional = {"percent": sample.percent, "missing": sample.missing}
    return data | {name: layer for name, layer in optional.items() if layer is not None}


def as_sample(data: Data) -> Sample:
    """Convert a result of albumentations to a sample; the image is a view of the result's image."""
    return Sample(
        data["image"].transpose(2, 0, 1), data["mask"], data["valid"] == 1, data.get("percent"), data.get("missing")
    )


class WithoutCopies(A.BasicTransform):  # type: ignore[misc]  # albumentations ships no types
    """Apply a transform to arrays of any memory layout.

    albumentations copies each array into contiguous memory before and after every transform. These copies take longer
    than most transforms of this project, which work band by band.
    """

    def apply_with_params(self, params: Params, *args: object, **data: npt.NDArray[Any]) -> Data:
        """Transform every array that has a function in `targets`.

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
    """Base class of transforms that change pixel values but not mask or validity."""


class Dihedral(WithoutCopies, A.D4):  # type: ignore[misc]  # albumentations ships no types
    """One of the eight flips and quarter turns."""
