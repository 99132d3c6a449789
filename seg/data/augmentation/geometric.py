"""Zoom, rotation and coarser resolution, without mixing invalid values into valid pixels."""

import math
from collections.abc import Callable, Sequence

import albumentations as A
import cv2
import numpy as np
import numpy.typing as npt

from seg.data.augmentation.dates import bands_by_date
from seg.data.augmentation.transform import Data, ImageTransform, Params, WithoutCopies
from seg.labels import IGNORE
from seg.raster.chips import BoolMask, ByteMask, FloatImage
from seg.raster.date_bands import DateMask

Layer = npt.NDArray[np.float32]


class ZoomAndTurn(WithoutCopies, A.DualTransform):  # type: ignore[misc]  # albumentations ships no types
    """Zoom and rotate about the centre, at unchanged size.

    The image is interpolated bilinearly, and the mask by nearest neighbour. A pixel of the result is valid only if all
    pixels that it is interpolated from are valid. All other pixels get the label "ignore"; these include pixels that
    lie outside the sample. The transforms of albumentations would mix valid and invalid pixels.

    Args:
        scale: Strongest zoom: objects are enlarged or shrunk by a factor of up to 1 + scale; both are equally probable.
        rotation: Largest angle to either side in degrees.
        p: Share of changed samples.
        dates: Number of dates of the bands.
    """

    def __init__(self, scale: float, rotation: float, p: float, dates: int = 0) -> None:
        super().__init__(p)
        self.scale, self.rotation, self.dates = scale, rotation, dates

    @property
    def targets(self) -> dict[str, Callable[..., np.ndarray]]:
        """Function for each array of a sample, by name."""
        return {
            "image": self.apply,
            "mask": self.apply_to_mask,
            "valid": self.apply_to_valid,
            "missing": self.apply_to_missing,
        }

    def get_params_dependent_on_data(self, params: Params, data: Data) -> Params:
        """Draw zoom and angle."""
        factor = math.exp(self.random_generator.uniform(-1, 1) * math.log1p(self.scale))
        found = self.movement(data["valid"] == 1, factor, self.random_generator.uniform(-1, 1) * self.rotation)
        if "missing" in data:
            found["missing"] = _moved_missing(data["missing"], found["matrix"], self.dates)
            found["kept"] &= found["missing"] != (1 << self.dates) - 1
        return found

    @staticmethod
    def movement(valid: BoolMask, factor: float, degrees: float) -> Params:
        """Parameters of `apply` for a given zoom and rotation.

        Args:
            valid: (H, W) validity before the transform.
            factor: Zoom factor; a factor above 1 enlarges objects.
            degrees: Counter-clockwise angle.
        """
        height, width = valid.shape
        matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, factor)
        # Interpolation weights are never negative. If their sum over invalid pixels is exactly 0, no invalid pixel
        # contributes.
        kept = _warp((~valid).astype(np.float32), matrix, cv2.INTER_LINEAR, 1) == 0
        return {"matrix": matrix, "valid": valid, "kept": kept}

    def apply(self, image: FloatImage, *, matrix: FloatImage, valid: BoolMask, **params: object) -> FloatImage:
        """The moved (H, W, C) image."""
        bands = image.transpose(2, 0, 1)
        moved = np.empty((len(bands), *valid.shape), np.float32)
        for band, mean, result in zip(bands, band_means(bands, valid), moved, strict=True):
            filled = np.where(valid, band, mean)
            result[...] = _warp(filled, matrix, cv2.INTER_LINEAR, float(mean))
        return moved.transpose(1, 2, 0)

    def apply_to_mask(self, mask: ByteMask, *, matrix: FloatImage, kept: BoolMask, **params: object) -> ByteMask:
        """The moved (H, W) mask."""
        return np.where(kept, _warp(mask, matrix, cv2.INTER_NEAREST, IGNORE), np.uint8(IGNORE))

    def apply_to_valid(self, layer: ByteMask, *, kept: BoolMask, **params: object) -> ByteMask:
        """The moved (H, W) validity."""
        return kept.astype(np.uint8)

    def apply_to_missing(self, layer: DateMask, *, missing: DateMask, **params: object) -> DateMask:
        """The moved (H, W) bits of missing dates."""
        return missing


def _moved_missing(layer: DateMask, matrix: FloatImage, dates: int) -> DateMask:
    """Moved bits of missing dates; a date is missing in a pixel that is interpolated from any pixel without it."""
    moved = np.zeros_like(layer)
    for date in range(dates):
        absent = (layer >> date & 1).astype(np.float32)
        moved |= np.where(_warp(absent, matrix, cv2.INTER_LINEAR, 0) > 0, np.uint16(1 << date), np.uint16(0))
    return moved


def _warp(layer: np.ndarray, matrix: np.ndarray, interpolation: int, outside: float) -> np.ndarray:
    size, border = layer.shape[::-1], cv2.BORDER_CONSTANT
    layer = np.ascontiguousarray(layer)
    return np.asarray(cv2.warpAffine(layer, matrix, size, flags=interpolation, borderMode=border, borderValue=outside))


class Coarsen(ImageTransform):
    """Blur an image as if the sensor had larger pixels, at unchanged size.

    The image is averaged to a smaller size, then interpolated bilinearly to its original size. Only valid pixels are
    used.

    Args:
        resolution: Coarsest resolution: the sides of pixels become up to 1 + resolution times as long.
        p: Share of changed samples.
        dates: Date of each band, from `seg.raster.date_bands.dates_of`.
    """

    def __init__(self, resolution: float, p: float, dates: Sequence[int] = ()) -> None:
        super().__init__(p)
        self.resolution, self.dates = resolution, dates

    def get_params_dependent_on_data(self, params: Params, data: Data) -> Params:
        """Draw the resolution."""
        factor = 1 + self.random_generator.random() * self.resolution
        return {"factor": factor, "valid": data["valid"] == 1, "missing": data.get("missing")}

    def apply(
        self, image: FloatImage, *, factor: float, valid: BoolMask, missing: DateMask | None = None, **params: object
    ) -> FloatImage:
        """The blurred (H, W, C) image."""
        height, width = valid.shape
        small = max(round(width / factor), 1), max(round(height / factor), 1)
        if small == (width, height):
            return image

        def blur(layer: Layer) -> Layer:
            low = cv2.resize(layer, small, interpolation=cv2.INTER_AREA)
            return np.asarray(cv2.resize(low, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32)

        bands = image.transpose(2, 0, 1)
        if missing is None:
            return _filtered(blur, bands, valid).transpose(1, 2, 0)
        blurred = np.empty(bands.shape, np.float32)
        for places, present in bands_by_date(self.dates, missing):
            blurred[places] = _filtered(blur, bands[places], valid & present)
        return blurred.transpose(1, 2, 0)


def _filtered(blur: Callable[[Layer], Layer], image: FloatImage, valid: BoolMask) -> FloatImage:
    """Apply a linear filter to the differences of valid pixels from the band mean; constant bands stay constant."""
    whole = bool(valid.all())
    weight = 1 if whole else np.where(valid, blur(valid.astype(np.float32)), 1)
    filtered = np.empty(image.shape, np.float32)
    for band, mean, result in zip(image, band_means(image, valid), filtered, strict=True):
        departure = band - mean if whole else np.where(valid, band, mean) - mean
        blurred = blur(departure) / weight + mean
        result[...] = blurred if whole else np.where(valid, blurred, band)
    return filtered


def band_means(image: FloatImage, valid: BoolMask) -> FloatImage:
    """(C,) mean of each band of a (C, H, W) image over the valid pixels; 0 if no pixel is valid."""
    if not valid.any():
        return np.zeros(len(image), dtype=np.float32)
    pixels = (band if valid.all() else band[valid] for band in image)
    return np.array([band.mean(dtype=np.float64) for band in pixels], dtype=np.float32)
