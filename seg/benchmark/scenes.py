"""Synthetic scenes for benchmarks: noise over a chessboard of fields."""

from pathlib import Path

import numpy as np
import rasterio

from seg.data.dataset.catalogue import Scene
from seg.raster.windows import window_grid

BANDS = 4
_TILE = 256
_WRITTEN_AT_ONCE = 1024


def write_scene(image: Path, mask: Path, side: int) -> Scene:
    """Write a square scene: 4 bands of uint16 and a mask, tiled, deflated to about two thirds of its size.

    Args:
        image: Image file to write.
        mask: Mask file to write.
        side: Side in pixels.
    """
    random = np.random.default_rng(0)
    shape = {"driver": "GTiff", "height": side, "width": side, "tiled": True, "blockxsize": _TILE, "blockysize": _TILE}
    place = {"crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, 500_000, 0, -10, 5_000_000)}
    with (
        rasterio.open(image, "w", count=BANDS, dtype="uint16", compress="deflate", **shape, **place) as pixels,
        rasterio.open(mask, "w", count=1, dtype="uint8", compress="deflate", **shape, **place) as labelled,
    ):
        for window in window_grid(side, side, _WRITTEN_AT_ONCE, _WRITTEN_AT_ONCE):
            rows, columns = np.indices((window.height, window.width)) // 32
            labels = (rows + columns) % 2
            noise = random.normal(0, 100, (BANDS, window.height, window.width))
            pixels.write((2000 + 500 * labels + noise).astype(np.uint16), window=window)
            labelled.write(labels.astype(np.uint8), 1, window=window)
    return Scene(image, mask, 0)
