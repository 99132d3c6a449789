"""What air, clouds and sensors do to pixel values, for images in any stored units; mask and validity stay."""

import cv2
import numpy as np

from seg.data.augmentation.geometric import band_means
from seg.data.sample import Sample
from seg.raster.chips import FloatImage

HAZE_CELLS = 4
"""Haze varies over a quarter of the image."""
DARK_PERCENTILE = 1
"""Of a band's valid pixels: what light from the sky and the air alone gives. The minimum may be a dead pixel."""
CORNERS = 3, 8
"""Fewest and most of a shadow's outline."""
PENUMBRA = 1.0, 4.0
"""Narrowest and widest edge of a shadow: standard deviation of the blur in pixels."""


def add_haze(image: FloatImage, veil: FloatImage, generator: np.random.Generator) -> FloatImage:
    """The image under a smooth, uneven veil that falls off from the first band, in full, to the last.

    Air scatters short waves most, and bands are mostly stored from blue to infrared.

    Args:
        image: (C, H, W).
        veil: (C,) the thickest veil, in stored units.
        generator: Draws where the veil is thick.
    """
    bands, height, width = image.shape
    cells = generator.random((HAZE_CELLS, HAZE_CELLS), dtype=np.float32)
    thickness = np.clip(cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC), 0, 1)
    falloff = np.linspace(1, 1 / bands, bands, dtype=np.float32) * veil
    hazy: FloatImage = (image + falloff[:, None, None] * thickness).astype(np.float32)
    return hazy


def cast_shadow(sample: Sample, darkness: float, generator: np.random.Generator) -> Sample:
    """The sample with a polygon in shadow: its pixels move towards the band's darkest ones.

    Args:
        sample: Any size; only valid pixels change.
        darkness: From 0, nothing, to 1, down to the darkest pixels.
        generator: Draws outline and softness.
    """
    outline = shadow_outline(sample.mask.shape, generator) * np.float32(darkness)
    image = sample.image.copy()
    for band in image if sample.valid.any() else ():
        lit = band[sample.valid]
        above = np.maximum(lit - np.percentile(lit, DARK_PERCENTILE), 0)
        band[sample.valid] = lit - outline[sample.valid] * above
    return Sample(image, sample.mask, sample.valid)


def shadow_outline(shape: tuple[int, int], generator: np.random.Generator) -> FloatImage:
    """(H, W) a random polygon: 1 in its core, 0 outside, smooth between."""
    height, width = shape
    corners = int(generator.integers(*CORNERS, endpoint=True))
    angles = np.sort(generator.uniform(0, 2 * np.pi, corners))
    size = np.array([width, height], dtype=np.float64)
    reach = generator.uniform(0.1, 0.5, corners)[:, None] * size
    points = generator.random(2) * size + reach * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    canvas = np.zeros((height, width), dtype=np.float32)
    cv2.fillPoly(canvas, [np.round(points).astype(np.int32)], 1.0)
    blurred = cv2.GaussianBlur(canvas, (0, 0), generator.uniform(*PENUMBRA), borderType=cv2.BORDER_REPLICATE)
    return np.clip(np.asarray(blurred, dtype=np.float32), 0, 1)


def drop_bands(
    sample: Sample, probability: float, generator: np.random.Generator, mean: FloatImage | None = None
) -> Sample:
    """The sample with some bands put to their mean, so that they say nothing; at least one is kept.

    Args:
        sample: Any size.
        probability: How often a band is dropped.
        generator: Draws which.
        mean: (C,) each band's mean over the training split; the mean of the sample's valid pixels by default.
    """
    dropped = generator.random(len(sample.image)) < probability
    dropped[generator.integers(len(dropped))] &= not dropped.all()
    values = band_means(sample.image, sample.valid) if mean is None else mean
    image = np.where(dropped[:, None, None], values[:, None, None], sample.image).astype(np.float32)
    return Sample(image, sample.mask, sample.valid)
