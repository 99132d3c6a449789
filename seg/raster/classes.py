"""Read class rasters (maps and masks) and probability maps, and reject invalid values."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from rasterio.io import DatasetReader
from rasterio.windows import Window

from seg.errors import RasterError, listed
from seg.labels import CROPLAND, IGNORE, LABEL_NAMES, OTHER
from seg.raster.chips import BoolMask, ByteMask, read_band
from seg.raster.grid import data_bands
from seg.raster.label_mapping import PLAIN_LABELS, LabelMapping

MOST_PERCENT = 100
"""Largest value of a probability map."""


@lru_cache(maxsize=256)
def class_band(dataset: DatasetReader, labels: LabelMapping = PLAIN_LABELS) -> int:
    """Index of the only data band of a class map or mask, counted from 1; an alpha band does not count.

    Args:
        dataset: An open raster.
        labels: Meaning of the values.

    Raises:
        RasterError: There are several data bands, or the nodata value is one of the labels.
    """
    bands = data_bands(dataset)
    if len(bands) != 1:
        raise RasterError(
            f"{dataset.name}: has {len(bands)} bands, wanted one band of classes; extract it (gdal_translate -b)"
        )
    nodata = dataset.nodatavals[bands[0] - 1]
    if nodata in (*labels.named_other, *labels.cropland):
        name = LABEL_NAMES[CROPLAND if nodata in labels.cropland else OTHER]
        mend = f"write nodata as {IGNORE}" if labels == PLAIN_LABELS else f"name {nodata:g} in labels.ignore"
        raise RasterError(
            f"{dataset.name}: nodata is {nodata:g}, which is also the label '{name}', so these pixels would be "
            f"ignored; unset the nodata value (gdal_edit.py -unsetnodata) or {mend}"
        )
    return bands[0]


def read_classes(dataset: DatasetReader, window: Window | None = None, labels: LabelMapping = PLAIN_LABELS) -> ByteMask:
    """A window of a class map or mask, (H, W): OTHER, CROPLAND, or IGNORE where a pixel has no label.

    A pixel has no label if its value means "no label", is nodata or is NaN, or if an alpha band or a mask file hides
    the pixel.

    Args:
        dataset: An open raster of any data type.
        window: Pixels to read; the whole raster by default.
        labels: Meaning of the values.

    Raises:
        RasterError: The raster cannot be read, has several bands, declares a label as nodata, or holds a value that is
            not a label.
    """
    values, valid = read_band(dataset, class_band(dataset, labels), window)
    if labels == PLAIN_LABELS and values.dtype == np.uint8 and values.max(initial=0) <= CROPLAND and valid.all():
        return values.astype(np.uint8, copy=False)  # Most chips take this shortcut.
    classes, unknown = labels.classes(values)
    classes[~valid] = IGNORE
    unknown &= valid
    if unknown.any():
        raise RasterError(
            f"{dataset.name}: holds the values {_shown(np.unique(values[unknown]))}, wanted {_wanted(labels)}"
        )
    return classes


def _wanted(labels: LabelMapping) -> str:
    if labels != PLAIN_LABELS:
        return f"the values of labels ({labels}); add the missing values to labels, or set labels.other=rest"
    return (
        f"{OTHER} (other), {CROPLAND} (cropland) or {IGNORE} (no label, nodata); recode the file, or give the class "
        "map if this is a probability map"
    )


def _shown(values: NDArray[np.generic]) -> str:
    return listed([f"{value:g}" for value in values.tolist()])


def read_percent(dataset: DatasetReader, window: Window) -> tuple[ByteMask, BoolMask]:
    """Probabilities of a window in percent, (H, W) uint8, and their validity.

    Args:
        dataset: An open raster: whole percents from 0 to 100, or floats from 0 to 1, which are rounded to percents.
        window: Pixels to read.

    Raises:
        RasterError: The raster cannot be read, or holds other values.
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
            f"{dataset.name}: holds {values[wrong][0]:g}, wanted probabilities: whole percents from 0 to 100 (255 or "
            "nodata for none), or floats from 0 to 1; give the probability map that predict.py wrote"
        )
    return percent.astype(np.uint8), valid
