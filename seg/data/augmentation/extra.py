"""Transforms of albumentations that a configuration selects by name."""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import albumentations as A
import cv2
import numpy as np
import numpy.typing as npt

from seg.data.augmentation.geometric import band_means
from seg.data.augmentation.transform import TARGETS, Data, Params, as_data, as_sample
from seg.data.sample import Sample
from seg.errors import ConfigError
from seg.labels import CROPLAND, IGNORE, OTHER

Plain = bool | int | float | str | None
Argument = Plain | list[Plain | list[Plain]] | dict[str, Plain | list[Plain]]

REFUSED = {
    "FromFloat": "images stay float32",
    "Lambda": "it takes functions, which a configuration cannot hold",
    "Normalize": "the model normalises its input",
    "ToFloat": "images are float32 already",
    "ToTensorV2": "samples become tensors later",
}
"""Rejected transforms, with the reason for each."""

_KEY = "data.augmentation.extra"
_VALID = 77
"""Value of valid pixels in the validity mask that albumentations receives. A transform fills new pixels of this mask
with its argument `fill_mask`, as in the label mask. `fill_mask` is a label, and no label is 77, so filled pixels are
invalid."""

_PROBE = 64, 48
"""Height and width of the sample that tests a transform."""


@dataclass(frozen=True)
class ExtraTransform:
    """A transform of albumentations.

    Args:
        name: Name of the class, such as GaussianBlur.
        arguments: Arguments of the class by name; p is the share of changed samples, 0.5 by default.

    Raises:
        ConfigError: The name or an argument is wrong.
    """

    name: str
    arguments: dict[str, Argument] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check name and arguments."""
        self.build()

    @property
    def moves(self) -> bool:
        """True if the transform may move pixels, so that mask and validity move too."""
        return issubclass(getattr(A, self.name), A.DualTransform)

    def build(self) -> A.BasicTransform:
        """Build the transform.

        Raises:
            ConfigError: The name or an argument is wrong.
        """
        kind = getattr(A, self.name, None) if self.name.isidentifier() else None
        if not (isinstance(kind, type) and issubclass(kind, (A.ImageOnlyTransform, A.DualTransform))):
            near = difflib.get_close_matches(self.name, _names(), n=1)
            hint = f"; the nearest name is {near[0]}" if near else ""
            raise ConfigError(f"{_KEY}: albumentations {A.__version__} has no image transform '{self.name}'{hint}")
        if self.name in REFUSED:
            raise ConfigError(f"{_KEY}: {self.name} cannot be used here, because {REFUSED[self.name]}; leave it out")
        try:
            return kind(**self.arguments, strict=True)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{_KEY}: {self.name} {_reason(error)}") from error


def _names() -> Iterator[str]:
    bases = A.ImageOnlyTransform, A.DualTransform
    return (name for name, kind in vars(A).items() if isinstance(kind, type) and issubclass(kind, bases))


def _reason(error: Exception) -> str:
    """First problem in an error of albumentations or pydantic, as one line."""
    found = re.search(r"InitSchema\n(?P<argument>\w*).*?  (?P<problem>.*?) \[type", str(error), re.DOTALL)
    if found:
        argument = f"argument {found['argument']}" if found["argument"] else "arguments"
        return f"has wrong {argument}: {found['problem']}"
    return f"cannot be built: {' '.join(str(error).split())}"


class InUnitRange(A.DualTransform):  # type: ignore[misc]  # albumentations ships no types
    """Scale each band to 0..1, apply a transform of albumentations, and scale the result back.

    albumentations expects float32 images from 0 to 1, and clips some results to that range. The smallest valid value of
    each band in the sample becomes 0 and the largest becomes 1, so no input value is clipped. Invalid pixels are set to
    the mean of the valid pixels, so nodata values do not spread into valid pixels.

    Args:
        transform: Transform of albumentations.
    """

    def __init__(self, transform: A.BasicTransform) -> None:
        super().__init__(p=1)
        self.transform = transform
        transform.add_targets(TARGETS)
        if hasattr(transform, "mask_interpolation"):
            transform.mask_interpolation = cv2.INTER_NEAREST  # labels must not be interpolated

    def set_random_state(self, random_generator: np.random.Generator, py_random: Random) -> None:
        """Set the generators of the transform.

        Args:
            random_generator: Generator of NumPy.
            py_random: Generator of Python's standard library.
        """
        super().set_random_state(random_generator, py_random)
        self.transform.set_random_state(random_generator, py_random)

    def apply_with_params(self, params: Params, *args: object, **data: npt.NDArray[Any]) -> Data:
        """Transform a sample.

        Args:
            params: Not used, since the wrapped transform draws its own parameters.
            args: Not used.
            data: The sample.
        """
        return as_data(self.changed(as_sample(data)))

    def changed(self, sample: Sample, always: bool = False) -> Sample:
        """Transform a sample.

        Args:
            sample: Sample in stored units.
            always: Always apply the transform, whatever its probability.
        """
        image, valid = sample.image, sample.valid
        means = band_means(image, valid)[:, None, None]
        filled = image if valid.all() else np.where(valid, image, means)
        low = filled.min(axis=(1, 2), keepdims=True)
        span = filled.max(axis=(1, 2), keepdims=True) - low
        span[span == 0] = 1
        given = as_data(replace(sample, image=(filled - low) / span))
        given["valid"] *= _VALID
        result = self.transform(force_apply=always, **given)
        if result["image"] is given["image"] and result["mask"] is given["mask"]:
            return sample
        moved = as_sample(result)
        return replace(moved, image=moved.image * span + low, valid=result["valid"] == _VALID)


def build_extras(extras: list[ExtraTransform], bands: int) -> list[InUnitRange]:
    """Build transforms and test each on a random sample.

    Args:
        extras: Names and arguments.
        bands: Number of bands of the samples.

    Raises:
        ConfigError: A transform cannot be built, fails on samples with this number of bands, or changes their size or
            type.
    """
    transforms = [InUnitRange(extra.build()) for extra in extras]
    for extra, transform in zip(extras, transforms, strict=True):
        _require_fitting(extra.name, transform, bands)
    return transforms


def _require_fitting(name: str, transform: InUnitRange, bands: int) -> None:
    random = np.random.default_rng(0)
    image = random.uniform(0, 10_000, (bands, *_PROBE)).astype(np.float32)
    mask = random.choice(np.array([OTHER, CROPLAND, IGNORE], np.uint8), _PROBE)
    transform.set_random_state(random, Random(0))
    try:
        changed = transform.changed(Sample(image, mask, np.ones(_PROBE, bool)), always=True)
    except Exception as error:  # any exception means that the transform does not fit
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise ConfigError(
            f"{_KEY}: {name} fails on an image of {bands} bands with a mask ({reason}); leave it out"
        ) from error
    size = tuple(changed.mask.shape)
    if size not in (_PROBE, _PROBE[::-1]) or changed.image.shape != (bands, *size) or changed.valid.shape != size:
        raise ConfigError(f"{_KEY}: {name} changes the size of a sample or its number of bands; leave it out")
