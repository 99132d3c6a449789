"""Read probability maps: whole percents, or floats from 0 to 1."""

import numpy as np
from rasterio.io import DatasetReader
from rasterio.windows import Window

from seg.errors import RasterError
from seg.labels import IGNORE
from seg.raster.chips import BoolMask, ByteMask, read_band

MOST_PERCENT = 100


def read_percent(dataset: DatasetReader, window: Window) -> tuple[ByteMask, BoolMask]:
    """The probabilities of a window in percent, (H, W) uint8, and where there are any.

    Args:
        dataset: Whole percents from 0 to 100, or floats from 0 to 1, which are rounded to them.
        window: The pixels.

    Raises:
        RasterError: It cannot be read, or holds something else.
    """
    values, valid = read_band(dataset, 1, window)
    if values.dtype.kind == "f":
        percent = np.rint(np.where(valid, values, 0) * MOST_PERCENT)
    else:
        valid &= values != IGNORE
        percent = np.where(valid, values, 0)
    wrong = (percent < 0) | (percent > MOST_PERCENT)
    if wrong.any():
        raise RasterError(
            f"{dataset.name}: holds {values[wrong][0]:g}, wanted probabilities: whole percents from 0 to 100, 255 or "
            "nodata where there is none, or floats from 0 to 1; give the probability map that predict.py wrote"
        )
    return percent.astype(np.uint8), valid
