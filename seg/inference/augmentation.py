"""Test-time augmentation: the views of an image, and the way back from each view's probability."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from seg.errors import ConfigError

Array = npt.NDArray[np.float32]

LARGEST_DENOMINATOR = 20


@dataclass(frozen=True)
class TestTimeAugmentation:
    """Which views of an image are averaged.

    Args:
        scales: Factors at which the image is resized, for example [0.75, 1, 1.25]; each is taken as the nearest
            fraction with a denominator of at most 20, so that a block's window stays on whole pixels.
        dihedral: Also the seven flips and quarter turns of each scale.
    """

    __test__ = False  # the name begins like a test class; pytest must not collect it

    scales: tuple[float, ...] = (1.0,)
    dihedral: bool = False

    @property
    def fractions(self) -> list[Fraction]:
        """The scales as exact fractions.

        Raises:
            ConfigError: There is none, or one is not between 1/8 and 8.
        """
        if not self.scales or not all(1 / 8 <= scale <= 8 for scale in self.scales):
            raise ConfigError(f"tta.scales is {list(self.scales)}; wanted one or more factors between 0.125 and 8")
        return [Fraction(scale).limit_denominator(LARGEST_DENOMINATOR) for scale in self.scales]

    def alignment(self, stride: int) -> int:
        """Pixels to which windows must align so that each scale meets the model's stride on whole pixels."""
        return stride * math.lcm(*(fraction.denominator for fraction in self.fractions))

    @property
    def views(self) -> int:
        """How many views are averaged."""
        return len(self.scales) * (8 if self.dihedral else 1)


@dataclass(frozen=True)
class View:
    """One view of an image.

    Attributes:
        scale: Factor at which the image is resized.
        turns: Quarter turns counter-clockwise after resizing.
        flip: Mirror left and right after turning.
    """

    scale: Fraction
    turns: int
    flip: bool

    def apply(self, image: Array) -> Array:
        """The view of a (C, H, W) image; H and W times the scale must be whole."""
        resized = resize_bilinear(image, *self._size(image, self.scale))
        turned: Array = np.rot90(resized, self.turns, axes=(1, 2))
        return turned[:, :, ::-1] if self.flip else turned

    def undo(self, probability: Array) -> Array:
        """The (H, W) probability of a view, turned and resized back onto the image."""
        unflipped = probability[:, ::-1] if self.flip else probability
        upright = np.rot90(unflipped, -self.turns)[None]
        resized: Array = resize_bilinear(upright, *self._size(upright, 1 / self.scale))[0]
        return resized

    @staticmethod
    def _size(image: Array, factor: Fraction) -> tuple[int, int]:
        return int(image.shape[1] * factor), int(image.shape[2] * factor)


def views(augmentation: TestTimeAugmentation) -> Iterator[View]:
    """Every view of an augmentation, the plain image among them if the scale 1 is."""
    for scale in augmentation.fractions:
        for flip in (False, True) if augmentation.dihedral else (False,):
            for turns in range(4) if augmentation.dihedral else (0,):
                yield View(scale, turns, flip)


def resize_bilinear(image: Array, height: int, width: int) -> Array:
    """The (C, height, width) bilinear resampling of a (C, H, W) image, pixel centres at half coordinates.

    Positions are computed in float64: in float32, as image libraries do, a window far from the origin would be
    sampled slightly elsewhere than the same pixels near it, and blocks would not agree.
    """
    if image.shape[1:] == (height, width):
        return image
    columns_resized = _resize_last_axis(image, width)
    return _resize_last_axis(columns_resized.swapaxes(1, 2), height).swapaxes(1, 2)


def _resize_last_axis(image: Array, size: int) -> Array:
    old = image.shape[-1]
    position = np.clip((np.arange(size) + 0.5) * (old / size) - 0.5, 0, old - 1)
    left = np.minimum(position.astype(int), max(old - 2, 0))
    right = np.minimum(left + 1, old - 1)
    weight = (position - left).astype(np.float32)
    resized: Array = image[..., left] * (1 - weight) + image[..., right] * weight
    return resized
