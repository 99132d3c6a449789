"""Turn and zoom a sample, or blur it as a coarser sensor would; invalid values never reach valid pixels."""

from collections.abc import Callable

import cv2
import numpy as np

from seg.data.sample import Sample
from seg.labels import IGNORE
from seg.raster.chips import BoolMask, FloatImage

Layer = np.ndarray[tuple[int, int], np.dtype[np.float32]]


def zoom_and_turn(sample: Sample, factor: float, degrees: float) -> Sample:
    """The sample zoomed and turned about its centre, at its own size.

    The image is interpolated bilinearly, the mask takes the nearest pixel. A pixel is valid only where every source
    pixel that contributes is; the others, among them all that come from outside, are labelled "ignore".

    Args:
        sample: Any size; what its invalid pixels hold does not matter.
        factor: Above 1 things get larger.
        degrees: Counter-clockwise.
    """
    height, width = sample.mask.shape
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, factor)

    def warp(layer: np.ndarray, interpolation: int, outside: float) -> np.ndarray:
        layer, size, border = np.ascontiguousarray(layer), (width, height), cv2.BORDER_CONSTANT
        warped = cv2.warpAffine(layer, matrix, size, flags=interpolation, borderMode=border, borderValue=outside)
        return np.asarray(warped)

    # Weights are never negative: a sum that is exactly 0 has no invalid pixel in it, however small its weight.
    valid = warp((~sample.valid).astype(np.float32), cv2.INTER_LINEAR, 1) == 0
    means = band_means(sample.image, sample.valid)
    image = np.stack(
        [
            warp(np.where(sample.valid, band, mean), cv2.INTER_LINEAR, float(mean))
            for band, mean in zip(sample.image, means, strict=True)
        ]
    )
    mask = warp(sample.mask, cv2.INTER_NEAREST, IGNORE)
    return Sample(image, np.where(valid, mask, np.uint8(IGNORE)), valid)


def coarsen(sample: Sample, factor: float) -> Sample:
    """The sample as a sensor with pixels `factor` times as large would see it, at its own size.

    The image is averaged down and brought back bilinearly, each pixel from valid ones alone. Mask, validity and what
    invalid pixels hold stay.

    Args:
        sample: Any size.
        factor: 1 or more.
    """
    height, width = sample.mask.shape
    small = max(round(width / factor), 1), max(round(height / factor), 1)
    if small == (width, height):
        return sample

    def blur(layer: Layer) -> FloatImage:
        low = cv2.resize(layer, small, interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(low, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32)

    return Sample(_normalised(blur, sample), sample.mask, sample.valid)


def _normalised(blur: Callable[[Layer], FloatImage], sample: Sample) -> FloatImage:
    """A linear filter's result over valid pixels alone; about the mean, so that a constant band stays as it is."""
    valid = sample.valid
    weight = np.where(valid, blur(valid.astype(np.float32)), 1)
    image = sample.image.copy()
    for band, mean in zip(image, band_means(sample.image, valid), strict=True):
        departure = blur(np.where(valid, band, mean) - mean) / weight
        band[valid] = (departure + mean)[valid]
    return image


def band_means(image: FloatImage, valid: BoolMask) -> FloatImage:
    """(C,) mean of each band over the valid pixels; 0 where there is none."""
    if not valid.any():
        return np.zeros(len(image), dtype=np.float32)
    return np.array([band[valid].mean(dtype=np.float64) for band in image], dtype=np.float32)
