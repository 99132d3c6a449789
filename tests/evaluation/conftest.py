from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from rasterio import Affine

WriteRaster = Callable[..., Path]


@pytest.fixture
def write_raster(tmp_path: Path) -> WriteRaster:
    def write(name: str, pixels: npt.ArrayLike, descriptions: tuple[str, ...] = (), **profile: object) -> Path:
        """Write (H, W) or (C, H, W) pixels on a 10 m grid; profile entries replace the defaults."""
        layers = np.asarray(pixels)
        layers = layers if layers.ndim == 3 else layers[None]
        count, height, width = layers.shape
        settings = {
            "driver": "GTiff",
            "count": count,
            "height": height,
            "width": width,
            "dtype": layers.dtype,
            "crs": "EPSG:32633",
            "transform": Affine(10, 0, 500_000, 0, -10, 5_000_000),
        }
        with rasterio.open(tmp_path / name, "w", **(settings | profile)) as dataset:
            dataset.write(layers)
            for band, text in enumerate(descriptions, start=1):
                dataset.set_band_description(band, text)
        return tmp_path / name

    return write
