from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from seg.imagery.composites.write import write_composite
from seg.imagery.settings import CompositeSettings
from seg.raster.grid import open_raster


@pytest.fixture
def composite(tmp_path: Path) -> Callable[..., npt.NDArray[np.generic]]:
    """`composite(inputs, **settings)` writes `summer.tif` and returns its (C + 1, H, W) pixels."""

    def write(inputs: Sequence[Path], **settings: object) -> npt.NDArray[np.generic]:
        output = tmp_path / "summer.tif"
        write_composite(inputs, output, CompositeSettings(**settings))  # type: ignore[arg-type]  # checked by the class
        with open_raster(output) as dataset:
            return dataset.read()

    return write


@pytest.fixture
def dates(tmp_path: Path, write_raster: Callable[..., Path]) -> Callable[..., list[Path]]:
    """`dates(number=5, size=(40, 56), **profile)` writes scenes of the bands B02 and B08, one for each date.

    The first pixel of all scenes and about a quarter of the other pixels hold the nodata value 0.
    """

    def write(number: int = 5, size: tuple[int, int] = (40, 56), **profile: object) -> list[Path]:
        random = np.random.default_rng(number)
        found = []
        for date in range(number):
            pixels = random.integers(1, 5000, (2, *size), np.uint16)
            pixels[:, random.random(size) < 0.25] = pixels[:, 0, 0] = 0
            name = tmp_path / "dates" / f"d{date}.tif"
            found.append(write_raster(name, pixels, **({"nodata": 0, "descriptions": ("B02", "B08")} | profile)))
        return found

    return write


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 16 x 16 pixels, whatever the memory."""
    monkeypatch.setattr("seg.imagery.composites.planning._block_shape", lambda *_: (16, 16))
