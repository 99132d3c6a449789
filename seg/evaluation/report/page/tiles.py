"""An image pyramid as text: tiles that the page's map decodes when they come into view."""

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
"""A scene is never shown coarser, whatever that takes."""


@dataclass(frozen=True)
class Level:
    """One resolution of a scene; its tiles go row by row, and a layer that the scene lacks is None.

    Attributes:
        width: In pixels.
        height: In pixels.
        codes: Deflated codes of pixels.
        probability: Deflated percents.
        image: WebP.
    """

    width: int
    height: int
    codes: list[str]
    probability: list[str] | None
    image: list[str] | None

    @property
    def size(self) -> int:
        """Characters of all tiles."""
        return sum(len(tile) for tiles in (self.codes, self.probability, self.image) for tile in tiles or [])


def encoded_within(layers: SceneLayers, budget: int) -> list[Level]:
    """The pyramid of a scene, finest level first, made coarser until it keeps within a number of characters.

    Args:
        layers: The scene.
        budget: Characters that its tiles may take; SMALLEST_SIDE goes before it.
    """
    levels = [_encoded(level) for level in pyramid(layers)]
    size = sum(level.size for level in levels)
    if size <= budget or max(layers.shape) <= SMALLEST_SIDE:
        return levels
    return encoded_within(resized(layers, shrunk(layers.shape, 0.97 * math.sqrt(budget / size))), budget)


def shrunk(shape: tuple[int, int], factor: float) -> tuple[int, int]:
    """Height and width times a factor below 1, the longer side being SMALLEST_SIDE at least."""
    factor = min(max(factor, SMALLEST_SIDE / max(shape)), 1.0)
    return max(1, int(shape[0] * factor)), max(1, int(shape[1] * factor))


def pyramid(layers: SceneLayers) -> Iterator[SceneLayers]:
    """The layers, then at half the size again and again, until one tile holds them."""
    yield layers
    while max(layers.shape) > TILE:
        height, width = layers.shape
        layers = resized(layers, (max(1, height // 2), max(1, width // 2)))
        yield layers


def deflated(pixels: Bytes) -> str:
    """Bytes compressed (RFC 1950) as base64; each but a row's first is the difference to its left neighbour.

    Not PNG, whose pixels a page gets back through a canvas, where browsers may alter them against fingerprinting.
    """
    left = np.zeros_like(pixels)
    left[:, 1:] = pixels[:, :-1]
    return _base64(zlib.compress((pixels - left).tobytes(), 9))


def webp(image: Bytes) -> str:
    """(H, W, 4) red, green, blue and opacity as lossy WebP in base64."""
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
