"""Read pixels with their validity, and class rasters (maps and masks) with their values checked."""

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from seg.errors import RasterError
from seg.labels import CROPLAND, IGNORE, LABEL_NAMES, OTHER
from seg.raster.chips import unreadable, whole

NAMED_VALUES = 5
"""An error names at most so many of the values it found: a probability map has hundreds."""


def read_pixels(
    dataset: DatasetReader,
    band: int,
    window: Window | None = None,
    shape: tuple[int, int] | None = None,
    resampling: Resampling = Resampling.nearest,
) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    """One band's values as stored, (H, W), and where they are valid: not nodata, not NaN, not masked.

    Args:
        dataset: An open raster.
        band: Counted from 1.
        window: The whole raster by default.
        shape: Height and width to read at, below the window's own for a cheap overview.
        resampling: How values (not validity) are brought to that shape.

    Raises:
        RasterError: The file is damaged or ends early, which shows only on reading.
    """
    try:
        values = dataset.read(band, window=window, out_shape=shape, resampling=resampling)
        valid = dataset.read_masks(band, window=window, out_shape=shape) != 0
    except RasterioError as error:
        raise unreadable(dataset, window or whole(dataset), error) from error
    if values.dtype.kind == "f":
        valid &= np.isfinite(values)
    return values, valid


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


def read_classes(dataset: DatasetReader, window: Window | None = None) -> NDArray[np.uint8]:
    """A window of a class map or mask, (H, W): OTHER, CROPLAND, or IGNORE where it has no value.

    Raises:
        RasterError: It cannot be read, has several bands, or holds a valid value that is no label.
    """
    values, valid = read_pixels(dataset, class_band(dataset), window)
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
