"""Bilinear resampling by a fraction, the same pixels alike in whatever window they lie."""

import math
from fractions import Fraction

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


def resize_bilinear(image: Array, height: int, width: int) -> Array:
    """The (C, height, width) bilinear resampling of a (C, H, W) image, pixel centres at half coordinates.

    Resized by p / q, every p-th pixel lies alike between its neighbours. Each of these p sets is computed at once, with
    a weight from exact fractions: two windows of a scene that begin on multiples of q give the same bits, where
    positions in floating point, as image libraries have them, would differ with the distance from the corner.
    """
    if height <= image.shape[1]:  # the axis first that leaves less to do for the other
        return _resize_axis(_resize_axis(image, 1, height), 2, width)
    return _resize_axis(_resize_axis(image, 2, width), 1, height)


def _resize_axis(image: Array, axis: int, size: int) -> Array:
    old = image.shape[axis]
    if old == size:
        return image
    scale = Fraction(size, old)
    step = scale.denominator
    # Beyond the first and the last pixel lies the same once more.
    padded = np.pad(image, [(1, 1) if other == axis else (0, 0) for other in range(image.ndim)], mode="edge")
    source = np.moveaxis(padded, axis, 0)
    resized = np.empty([size if other == axis else length for other, length in enumerate(image.shape)], np.float32)
    target = np.moveaxis(resized, axis, 0)
    for phase in range(scale.numerator):
        position = (phase + Fraction(1, 2)) / scale + Fraction(1, 2)  # counted from the padding
        left = math.floor(position)
        weight = np.float32(position - left)
        stop = left + old - step + 1
        np.multiply(source[left:stop:step], 1 - weight, out=target[phase :: scale.numerator])
        target[phase :: scale.numerator] += source[left + 1 : stop + 1 : step] * weight
    return resized
