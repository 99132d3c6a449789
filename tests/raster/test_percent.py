from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rasterio.windows import Window

from seg.errors import RasterError
from seg.raster.classes import read_percent
from seg.raster.grid import open_raster

WINDOW = Window(0, 0, 4, 1)


@pytest.mark.parametrize(
    ("values", "dtype", "nodata"),
    [([0, 57, 100, 255], "uint8", None), ([0, 0.57, 1, np.nan], "float32", None), ([0, 57, 100, -1], "int16", -1)],
)
def test_percents_and_shares_are_read_alike(
    write_raster: Callable[..., Path], tmp_path: Path, values: list[float], dtype: str, nodata: float | None
) -> None:
    path = write_raster(tmp_path / "percent.tif", np.array([values], dtype=dtype), nodata=nodata)
    with open_raster(path) as dataset:
        percent, valid = read_percent(dataset, WINDOW)
    assert valid.tolist() == [[True, True, True, False]]
    assert percent[valid].tolist() == [0, 57, 100]


@pytest.mark.parametrize("value", [101, 200])
def test_what_is_no_percent_is_refused(write_raster: Callable[..., Path], tmp_path: Path, value: int) -> None:
    path = write_raster(tmp_path / "percent.tif", np.array([[0, 1, 2, value]], dtype=np.uint8))
    with open_raster(path) as dataset, pytest.raises(RasterError, match=rf"percent\.tif: holds {value}, wanted"):
        read_percent(dataset, WINDOW)
