"""Read class rasters (maps and masks): other, cropland, or no value; whatever else they hold is refused."""

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader
from rasterio.windows import Window

from seg.errors import RasterError
from seg.labels import CROPLAND, IGNORE, LABEL_NAMES, OTHER
from seg.raster.chips import ByteMask, read_band

NAMED_VALUES = 5
"""An error names at most so many of the values it found: a probability map has hundreds."""


def class_band(dataset: DatasetReader) -> int:
    """The one band of a class map or mask, counted from 1; an alpha band beside it only masks.

    Raises:
        RasterError: There are several, or nodata is declared as one of the labels.
    """
    bands = [i for i, meaning in enumerate(dataset.colorinterp, start=1) if meaning != ColorInterp.alpha]
    if len(bands) != 1:
        raise RasterError(
            f"{dataset.name}: has {len(bands)} bands, but a class map or mask has one; extract the band of classes"
        )
    nodata = dataset.nodatavals[bands[0] - 1]
    if nodata in (OTHER, CROPLAND):
        raise RasterError(
            f"{dataset.name}: nodata is {nodata:g}, which is also the label '{LABEL_NAMES[int(nodata)]}', so those "
            f"pixels would drop out; unset it (gdal_edit.py -unsetnodata) or write nodata as {IGNORE}"
        )
    return bands[0]


def read_classes(dataset: DatasetReader, window: Window | None = None) -> ByteMask:
    """A window of a class map or mask, (H, W): OTHER, CROPLAND, or IGNORE where it has no value.

    No value is IGNORE itself, nodata, NaN, and what an alpha band or a mask file hides.

    Args:
        dataset: An open raster of any data type.
        window: The whole raster by default.

    Raises:
        RasterError: It cannot be read, has several bands, declares a label as nodata, or holds a value that is no
            label where there is data.
    """
    values, valid = read_band(dataset, class_band(dataset), window)
    classes = np.full(values.shape, IGNORE, dtype=np.uint8)
    classes[valid & (values == OTHER)] = OTHER
    classes[valid & (values == CROPLAND)] = CROPLAND
    unknown = valid & (classes == IGNORE) & (values != IGNORE)
    if unknown.any():
        raise RasterError(
            f"{dataset.name}: holds the values {_named(np.unique(values[unknown]))}, wanted {OTHER} (other), "
            f"{CROPLAND} (cropland) or {IGNORE} (no label, nodata); recode it, or give the class map "
            "if this is one of classes or probabilities"
        )
    return classes


def _named(values: NDArray[np.generic]) -> str:
    names = ", ".join(f"{value:g}" for value in values[:NAMED_VALUES].tolist())
    return f"{names}, ... ({len(values)} different)" if len(values) > NAMED_VALUES else names
