"""Image pyramid as text: tiles that the page's map decodes when they come into view."""

import base64
import io
import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from seg.evaluation.report.layers import Bytes, SceneLayers, resized

TILE = 256
"""Side of a tile in pixels."""

WEBP_QUALITY = 80
SMALLEST_SIDE = 64
"""The longer side of a scene is not reduced below this number of pixels, even if the tiles exceed the budget."""


@dataclass(frozen=True)
class Level:
    """One resolution of a scene; tiles are ordered row by row.

    Attributes:
        width: Width in pixels.
        height: Height in pixels.
        codes: Tiles of the codes, deflated.
        probability: Tiles of the percents, deflated; None without a probability map.
        image: Tiles of the image as WebP; None without an image.
    """

    width: int
    height: int
    codes: list[str]
    probability: list[str] | None
    image: list[str] | None

    @property
    def size(self) -> int:
        """Number of characters of all tiles."""
        return sum(len(tile) for tiles in (self.codes, self.probability, self.image) for tile in tiles or [])


def encoded_within(layers: SceneLayers, budget: int) -> list[Level]:
    """Encode the pyramid of a scene, finest level first, at the finest resolution that stays within the budget.

    Args:
        layers: The scene.
        budget: Largest number of characters of the scene's tiles. The tiles exceed this number if the scene would
            otherwise be smaller than SMALLEST_SIDE.
    """
    levels = [_encoded(level) for level in pyramid(layers)]
    size = sum(level.size for level in levels)
    if size <= budget or max(layers.shape) <= SMALLEST_SIDE:
        return levels
    return encoded_within(resized(layers, shrunk(layers.shape, 0.97 * math.sqrt(budget / size))), budget)


def shrunk(shape: tuple[int, int], factor: float) -> tuple[int, int]:
    """Multiply height and width by a factor below 1, but keep the longer side at SMALLEST_SIDE or more."""
    factor = min(max(factor, SMALLEST_SIDE / max(shape)), 1.0)
    return max(1, int(shape[0] * factor)), max(1, int(shape[1] * factor))


def pyramid(layers: SceneLayers) -> Iterator[SceneLayers]:
    """Layers at full size, then at half, a quarter and so on, until they fit into one tile."""
    yield layers
    while max(layers.shape) > TILE:
        height, width = layers.shape
        layers = resized(layers, (max(1, height // 2), max(1, width // 2)))
        yield layers


def deflated(pixels: Bytes) -> str:
    """Compress rows of bytes (zlib, RFC 1950) as base64; each byte is stored as the difference from its left neighbour.

    PNG is not used: a page can read its pixels only through a canvas, and browsers may alter canvas pixels to prevent
    fingerprinting.
    """
    left = np.zeros_like(pixels)
    left[:, 1:] = pixels[:, :-1]
    return _base64(zlib.compress((pixels - left).tobytes(), 9))


def webp(image: Bytes) -> str:
    """Encode (H, W, 4) red, green, blue and opacity as lossy WebP, as base64."""
    content = io.BytesIO()
    opaque = bool((image[..., 3] == 255).all())
    picture = Image.fromarray(image[..., :3] if opaque else image)
    picture.save(content, format="webp", quality=WEBP_QUALITY, method=4)
    return _base64(content.getvalue())


def _encoded(layers: SceneLayers) -> Level:
    height, width = layers.shape
    cuts = [
        (slice(top, top + TILE), slice(left, left + TILE))
        for top in range(0, height, TILE)
        for left in range(0, width, TILE)
    ]
    probability, image = layers.probability, layers.image
    return Level(
        width=width,
        height=height,
        codes=[deflated(layers.codes[cut]) for cut in cuts],
        probability=None if probability is None else [deflated(probability[cut]) for cut in cuts],
        image=None if image is None else [webp(np.ascontiguousarray(image[cut])) for cut in cuts],
    )


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
