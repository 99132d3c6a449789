from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

WriteRaster = Callable[..., Path]


@pytest.fixture
def class_map(write_raster: WriteRaster, tmp_path: Path) -> Path:
    """A map of 60 x 80 pixels, 10 m: cropland in its left third, nodata in its last two rows."""
    pixels = np.zeros((60, 80), np.uint8)
    pixels[:, :27] = 1
    pixels[-2:] = 255
    return write_raster(tmp_path / "map.tif", pixels, nodata=255)
