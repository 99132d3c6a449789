"""Effects of air, clouds and sensors on pixel values in any unit; values are never clipped."""

import cv2
import numpy as np

from seg.data.augmentation.transform import Data, ImageTransform, Params
from seg.raster.chips import BoolMask, FloatImage

HAZE_CELLS = 4
"""Cells in each direction of the coarse grid from which haze is interpolated."""
DARK_PERCENTILE = 1
"""Percentile of a band that is taken as the value of pixels lit only by diffuse skylight. The minimum could be a dead
pixel."""
CORNERS = 3, 8
"""Smallest and largest number of corners of a shadow."""
PENUMBRA = 1.0, 4.0
"""Smallest and largest blur of a shadow's edge: standard deviation in pixels."""


class Jitter(ImageTransform):
    """Change gain and offset of each band, and add noise to each pixel.

    The corresponding transforms of albumentations clip values to 0..1, but reflectances and digital numbers may be
    larger.

    Args:
        gain: Each band is multiplied by 1 plus two random numbers with this standard deviation; one number is drawn for
            the band, the other for all bands.
        offset: Standard deviation of a band's shift, in standard deviations of the band.
        noise: Standard deviation of the noise of a pixel, in standard deviations of the band.
        std: (C,) standard deviation of each band, in stored units.
    """

    def __init__(self, gain: float, offset: float, noise: float, std: FloatImage) -> None:
        super().__init__(p=1)
        self.gain, self.offset, self.noise, self.std = gain, offset, noise, std

    def get_params_dependent_on_data(self, params: Params, data: Data) -> Params:
        """Draw factors, shifts and noise."""
        random, bands = self.random_generator, len(self.std)
        factor = 1 + self.gain * (random.standard_normal() + random.standard_normal(bands))
        shift = self.offset * self.std * random.standard_normal(bands)
        noise = None
        if self.noise:
            noise = random.standard_normal((bands, *data["mask"].shape), dtype=np.float32)
            noise *= (self.noise * self.std).astype(np.float32)[:, None, None]
        return {"factor": factor.astype(np.float32), "shift": shift.astype(np.float32), "noise": noise}

    def apply(
        self, image: FloatImage, *, factor: FloatImage, shift: FloatImage, noise: FloatImage | None, **params: object
    ) -> FloatImage:
        """The changed (H, W, C) image."""
        with np.errstate(over="ignore"):  # An invalid pixel may hold the largest float.
            changed = image.transpose(2, 0, 1) * factor[:, None, None]
            changed += shift[:, None, None]
            if noise is not None:
                changed += noise
        return changed.transpose(1, 2, 0)


class Haze(ImageTransform):
    """Add smooth, uneven haze that is thickest in the first band and thinnest in the last band.

    Air scatters short wavelengths most, and bands are usually stored from blue to infrared. RandomFog of albumentations
    needs images of three bands.

    Args:
        thickest: Thickest haze in the first band, in standard deviations of the band.
        std: (C,) standard deviation of each band, in stored units.
        p: Share of changed samples.
    """

    def __init__(self, thickest: float, std: FloatImage, p: float) -> None:
        super().__init__(p)
        self.thickest, self.std = thickest, std

    def get_params_dependent_on_data(self, params: Params, data: Data) -> Params:
        """Draw the thickness of the haze and its distribution over the image."""
        veil = np.float32(self.random_generator.random() * self.thickest) * self.std
        height, width = data["mask"].shape
        cells = self.random_generator.random((HAZE_CELLS, HAZE_CELLS), dtype=np.float32)
        thickness = np.clip(cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC), 0, 1)
        return {"veil": np.linspace(1, 1 / len(veil), len(veil), dtype=np.float32) * veil, "thickness": thickness}

    def apply(self, image: FloatImage, *, veil: FloatImage, thickness: FloatImage, **params: object) -> FloatImage:
        """The hazy (H, W, C) image."""
        hazy: FloatImage = image.transpose(2, 0, 1) + veil[:, None, None] * thickness
        return hazy.transpose(1, 2, 0)


class Season(ImageTransform):
    """Mix the bands linearly, so that the ratios of the bands change as between two dates.

    To each band, a random share of the contrast of each other band is added. Green and bare fields differ in these
    other bands, so they change differently. The gain of a band would change all land covers alike.

    Args:
        share: Standard deviation of the random shares, in standard deviations of the bands.
        mean: (C,) mean of each band, in stored units.
        std: (C,) standard deviation of each band.
    """

    def __init__(self, share: float, mean: FloatImage, std: FloatImage) -> None:
        super().__init__(p=1)
        self.share, self.mean, self.std = share, mean, std

    def get_params_dependent_on_data(self, params: Params, data: Data) -> Params:
        """Draw the shares."""
        bands = len(self.std)
        drawn = self.share * self.random_generator.standard_normal((bands, bands))
        np.fill_diagonal(drawn, 0)
        # The contrast of a band is divided by the band's standard deviation and multiplied by that of the changed band.
        return {"shares": (drawn * self.std[:, None] / self.std).astype(np.float32)}

    def apply(self, image: FloatImage, *, shares: FloatImage, **params: object) -> FloatImage:
        """The changed (H, W, C) image."""
        with np.errstate(over="ignore", invalid="ignore"):  # An invalid pixel may hold the largest float, or NaN.
            return np.asarray(image + (image - self.mean) @ shares.T, dtype=np.float32)


class Shadow(ImageTransform):
    """Darken a polygon by moving its valid pixels towards the darkest value of each band.

    RandomShadow of albumentations scales values, so its effect depends on the zero point of the stored units.

    Args:
        darkest: Largest shift towards the darkest value, 0 (none) to 1 (all the way).
        p: Share of changed samples.
    """

    def __init__(self, darkest: float, p: float) -> None:
        super().__init__(p)
        self.darkest = darkest

    def get_params_dependent_on_data(self, params: Params, data: Data) -> Params:
        """Draw darkness, outline and softness."""
        darkness = np.float32(self.random_generator.random() * self.darkest)
        return {
            "shade": shadow_outline(data["mask"].shape, self.random_generator) * darkness,
            "valid": data["valid"] == 1,
        }

    def apply(self, image: FloatImage, *, shade: FloatImage, valid: BoolMask, **params: object) -> FloatImage:
        """The darkened (H, W, C) image."""
        shaded = np.array(image.transpose(2, 0, 1))
        for band in shaded if valid.any() else ():
            lit = band[valid]
            above = np.maximum(lit - np.percentile(lit, DARK_PERCENTILE), 0)
            band[valid] = lit - shade[valid] * above
        return shaded.transpose(1, 2, 0)


def shadow_outline(shape: tuple[int, ...], random: np.random.Generator) -> FloatImage:
    """(H, W) shade of a random polygon: 1 in its core, 0 outside, smooth between."""
    height, width = shape
    corners = int(random.integers(*CORNERS, endpoint=True))
    angles = np.sort(random.uniform(0, 2 * np.pi, corners))
    size = np.array([width, height], dtype=np.float64)
    reach = random.uniform(0.1, 0.5, corners)[:, None] * size
    points = random.random(2) * size + reach * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    canvas = np.zeros((height, width), dtype=np.float32)
    cv2.fillPoly(canvas, [np.round(points).astype(np.int32)], 1.0)
    blurred = cv2.GaussianBlur(canvas, (0, 0), random.uniform(*PENUMBRA), borderType=cv2.BORDER_REPLICATE)
    return np.clip(np.asarray(blurred, dtype=np.float32), 0, 1)


class DropBands(ImageTransform):
    """Set some bands to their mean, so that they carry no information; at least one band stays.

    ChannelDropout of albumentations would set all dropped bands to the same value.

    Args:
        probability: Probability that a band is dropped.
        mean: (C,) value of dropped bands: the mean over the training split.
    """

    def __init__(self, probability: float, mean: FloatImage) -> None:
        super().__init__(p=1)
        self.probability, self.mean = probability, mean

    def get_params_dependent_on_data(self, params: Params, data: Data) -> Params:
        """Draw the bands."""
        bands = data["image"].shape[2]
        dropped = self.random_generator.random(bands) < self.probability
        dropped[self.random_generator.integers(bands)] &= not dropped.all()
        return {"dropped": dropped}

    def apply(self, image: FloatImage, *, dropped: BoolMask, **params: object) -> FloatImage:
        """The (H, W, C) image with dropped bands."""
        return with_means(image, self.mean, dropped)


def with_means(image: FloatImage, mean: FloatImage, dropped: BoolMask) -> FloatImage:
    """The (H, W, C) image with some bands set to their mean.

    Args:
        image: (H, W, C) image.
        mean: (C,) mean of each band.
        dropped: (C,) True for each band to set.
    """
    if not dropped.any():
        return image
    bands = np.array(image.transpose(2, 0, 1))
    bands[dropped] = mean[dropped, None, None]
    return bands.transpose(1, 2, 0)
