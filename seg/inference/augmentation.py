"""Test-time augmentation: views of an image, and the inverse transform of each view's probability."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from seg.errors import ConfigError

Array = npt.NDArray[np.float32]

LARGEST_DENOMINATOR = 20
"""Scales are rounded to fractions with at most this denominator."""

LARGEST_COMMON_DENOMINATOR = 60
"""Largest common denominator of all scales. Windows begin on multiples of the model's stride times the common
denominator. At stride 8, these are multiples of at most 480 pixels."""


class Turn(NamedTuple):
    """One of the eight combinations of turns and flips of an image.

    Attributes:
        quarters: Quarter turns counter-clockwise.
        flip: Mirror left and right after the turn.
    """

    quarters: int
    flip: bool

    def apply(self, image: Array) -> Array:
        """Turn a (C, H, W) image; the result shares its memory and is (C, H, W) or (C, W, H)."""
        turned: Array = np.rot90(image, self.quarters, axes=(1, 2))
        return turned[:, :, ::-1] if self.flip else turned

    def undo(self, probability: Array) -> Array:
        """Turn the probability of a turned image back; the result shares its memory and is (H, W)."""
        unflipped = probability[:, ::-1] if self.flip else probability
        upright: Array = np.rot90(unflipped, -self.quarters)
        return upright


DIHEDRAL = {
    "identity": Turn(0, False),
    "rot90": Turn(1, False),
    "rot180": Turn(2, False),
    "rot270": Turn(3, False),
    "flip_horizontal": Turn(0, True),
    "anti_transpose": Turn(1, True),
    "flip_vertical": Turn(2, True),
    "transpose": Turn(3, True),
}
"""The eight symmetries of a square by name; turns are counter-clockwise."""


@dataclass(frozen=True)
class TestTimeAugmentation:
    """Views of an image that are averaged: each scale with each turn or flip.

    Args:
        scales: Factors by which the image is resized, for example [0.75,1,1.25]. Each factor is rounded to a fraction
            with a denominator of at most 20, so that blocks stay on whole pixels. A view at scale s costs s² times a
            plain prediction.
        dihedral: Turns and flips of each scale: true for all eight, false for none, or a list of names such as
            [identity,rot180]: identity, rot90, rot180, rot270 (counter-clockwise), flip_horizontal, flip_vertical,
            transpose, anti_transpose.

    Raises:
        ConfigError: There is no scale or no turn, a scale is out of range, or a scale or turn is unknown or repeated.
    """

    __test__ = False  # pytest must not collect the class as a test because of its name

    scales: tuple[float, ...] = (1.0,)
    dihedral: bool | list[str] | str = False

    def __post_init__(self) -> None:
        """Check scales and names."""
        if not self.scales or not all(1 / 8 <= scale <= 8 for scale in self.scales):
            raise ConfigError(f"tta.scales is {list(self.scales)}; wanted one or more factors between 0.125 and 8")
        if len(set(self.fractions)) < len(self.scales):
            found = ", ".join(str(fraction) for fraction in self.fractions)
            raise ConfigError(f"tta.scales is {list(self.scales)}, rounded to {found}; wanted each scale once")
        if self.alignment(1) > LARGEST_COMMON_DENOMINATOR:
            raise ConfigError(
                f"tta.scales is {list(self.scales)}, whose common denominator is {self.alignment(1)}; "
                f"wanted at most {LARGEST_COMMON_DENOMINATOR}: use multiples of 1/4 or of 1/10"
            )
        _check_names(self.names)

    @property
    def fractions(self) -> list[Fraction]:
        """The scales as exact fractions."""
        return [Fraction(scale).limit_denominator(LARGEST_DENOMINATOR) for scale in self.scales]

    @property
    def names(self) -> list[str]:
        """Names of the turns and flips, as given."""
        if isinstance(self.dihedral, bool):
            return list(DIHEDRAL) if self.dihedral else ["identity"]
        return [self.dihedral] if isinstance(self.dihedral, str) else list(self.dihedral)

    @property
    def turns(self) -> list[Turn]:
        """Turns and flips of each scale, always in the order of `DIHEDRAL`."""
        return [turn for name, turn in DIHEDRAL.items() if name in self.names]

    @property
    def views(self) -> int:
        """Number of views."""
        return len(self.scales) * len(self.turns)

    @property
    def cost(self) -> float:
        """Ratio of the pixels computed for all views to the pixels computed for a plain prediction."""
        return float(len(self.turns) * sum(fraction**2 for fraction in self.fractions))

    def alignment(self, stride: int) -> int:
        """Alignment in pixels: the first row and column of every window must be multiples of this number.

        At each scale, the resized window then begins on a multiple of the model's stride.

        Args:
            stride: Stride of the model in pixels.
        """
        return stride * math.lcm(*(fraction.denominator for fraction in self.fractions))


def resize_bilinear(image: Array, height: int, width: int) -> Array:
    """Resize a (C, H, W) image bilinearly to (C, height, width), with pixel centres at half coordinates.

    If the factor is p / q, every p-th pixel of the result has the same position between its source pixels. The pixels
    therefore form p sets, and each set is computed at once with weights from exact fractions. Two windows of a scene
    that begin on multiples of q agree in every bit. Image libraries use floating-point positions instead; their
    rounding errors depend on the distance from the corner.
    """
    if height <= image.shape[1]:  # The second step is faster if the first step removes pixels.
        return _resize_axis(_resize_axis(image, 1, height), 2, width)
    return _resize_axis(_resize_axis(image, 2, width), 1, height)


def _resize_axis(image: Array, axis: int, size: int) -> Array:
    old = image.shape[axis]
    if old == size:
        return image
    scale = Fraction(size, old)
    step = scale.denominator
    # The first and the last pixel are repeated beyond the edge.
    padded = np.pad(image, [(1, 1) if other == axis else (0, 0) for other in range(image.ndim)], mode="edge")
    source = np.moveaxis(padded, axis, 0)
    resized = np.empty([size if other == axis else length for other, length in enumerate(image.shape)], np.float32)
    target = np.moveaxis(resized, axis, 0)
    for phase in range(scale.numerator):
        position = (phase + Fraction(1, 2)) / scale + Fraction(1, 2)  # in pixels of `padded`
        left = math.floor(position)
        weight = np.float32(position - left)
        stop = left + old - step + 1
        np.multiply(source[left:stop:step], 1 - weight, out=target[phase :: scale.numerator])
        target[phase :: scale.numerator] += source[left + 1 : stop + 1 : step] * weight
    return resized


def _check_names(names: Sequence[str]) -> None:
    unknown = [name for name in names if name not in DIHEDRAL]
    if unknown or not names:
        found = f"has {', '.join(unknown)}" if unknown else "is empty"
        raise ConfigError(f"tta.dihedral {found}; wanted true, false, or some of {', '.join(DIHEDRAL)}")
    if len(set(names)) < len(names):
        raise ConfigError(f"tta.dihedral is {', '.join(names)}; wanted each turn once")
