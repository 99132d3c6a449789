from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

WriteRaster = Callable[..., Path]


@pytest.fixture
def class_map(write_raster: WriteRaster, tmp_path: Path) -> Path:
    """Map of 60 x 80 pixels of 10 m, with cropland in the left third and nodata in the last two rows."""
    pixels = np.zeros((60, 80), np.uint8)
    pixels[:, :27] = 1
    pixels[-2:] = 255
    return write_raster(tmp_path / "map.tif", pixels, nodata=255)
