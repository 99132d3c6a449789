from collections.abc import Callable
from pathlib import Path

import numpy.typing as npt
import pytest

WriteRaster = Callable[..., Path]


@pytest.fixture
def write_raster(write_raster: WriteRaster, tmp_path: Path) -> WriteRaster:
    """`write_raster(name, pixels, ...)`: like the fixture of all tests, but writes into the folder of the test."""

    def write(name: str, pixels: npt.ArrayLike, descriptions: tuple[str, ...] = (), **profile: object) -> Path:
        return write_raster(tmp_path / name, pixels, descriptions=descriptions, **profile)

    return write
