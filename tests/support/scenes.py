"""Scenes for which the test models map a mixture of classes."""

from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin


def write_scene(path: Path, height: int, width: int, bands: int = 3, **options: object) -> Path:
    """Write a scene of fields and noise around the band statistics of the test models, and return its path.

    Args:
        path: The GeoTIFF.
        height: Rows.
        width: Columns.
        bands: Number of bands.
        options: Settings of rasterio; the default is a uint16 GeoTIFF with 10 m pixels in EPSG:32632.
    """
    generator = np.random.default_rng(height * 10_000 + width)
    fields = generator.normal(size=(bands, height // 20 + 1, width // 20 + 1)).repeat(20, 1).repeat(20, 2)
    pixels = fields[:, :height, :width] + 0.3 * generator.normal(size=(bands, height, width))
    scaled = (pixels * 200 + 2000).clip(1, 60_000)
    profile: dict[str, object] = {
        "driver": "GTiff",
        "height": height,
        "width": width,
        "count": bands,
        "dtype": "uint16",
        "crs": "EPSG:32632",
        "transform": from_origin(500_000, 5_400_000, 10, 10),
    }
    with rasterio.open(path, "w", **(profile | options)) as dataset:
        dataset.write(scaled.astype(dataset.dtypes[0]))
    return path
