"""Read class rasters (maps and masks): other, cropland, or no value; whatever else they hold is refused."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from rasterio.io import DatasetReader
from rasterio.windows import Window

from seg.errors import RasterError
from seg.labels import (
    CROPLAND,
    IGNORE,
    LABEL_NAMES,
    OTHER,
)
from seg.raster.chips import BoolMask, ByteMask, read_band
from seg.raster.grid import data_bands
from seg.raster.label_mapping import PLAIN_LABELS, LabelMapping

NAMED_VALUES = 5
"""An error names at most so many of the values it found: a probability map has hundreds."""


@lru_cache(maxsize=256)
def class_band(dataset: DatasetReader, labels: LabelMapping = PLAIN_LABELS) -> int:
    """The one band of a class map or mask, counted from 1; an alpha band beside it only masks.

    Args:
        dataset: An open raster.
        labels: What its values mean.

    Raises:
        RasterError: There are several, or nodata is declared as one of the labels.
    """
    bands = data_bands(dataset)
    if len(bands) != 1:
        raise RasterError(
            f"{dataset.name}: has {len(bands)} bands, but a class map or mask has one; extract the band of classes"
        )
    nodata = dataset.nodatavals[bands[0] - 1]
    if nodata in (*labels.named_other, *labels.cropland):
        name = LABEL_NAMES[CROPLAND if nodata in labels.cropland else OTHER]
        mend = f"write nodata as {IGNORE}" if labels == PLAIN_LABELS else f"name {nodata:g} in labels.ignore"
        raise RasterError(
            f"{dataset.name}: nodata is {nodata:g}, which is also the label '{name}', so those "
            f"pixels would drop out; unset it (gdal_edit.py -unsetnodata) or {mend}"
        )
    return bands[0]


def read_classes(dataset: DatasetReader, window: Window | None = None, labels: LabelMapping = PLAIN_LABELS) -> ByteMask:
    """A window of a class map or mask, (H, W): OTHER, CROPLAND, or IGNORE where it has no value.

    No value is IGNORE itself, nodata, NaN, and what an alpha band or a mask file hides.

    Args:
        dataset: An open raster of any data type.
        window: The whole raster by default.
        labels: What its values mean.

    Raises:
        RasterError: It cannot be read, has several bands, declares a label as nodata, or holds a value that is no
            label where there is data.
    """
    values, valid = read_band(dataset, class_band(dataset, labels), window)
    if labels == PLAIN_LABELS and values.dtype == np.uint8 and values.max(initial=0) <= CROPLAND and valid.all():
        return values.astype(np.uint8, copy=False)  # as most chips are
    classes, unknown = labels.classes(values)
    classes[~valid] = IGNORE
    unknown &= valid
    if unknown.any():
        raise RasterError(
            f"{dataset.name}: holds the values {_named(np.unique(values[unknown]))}, wanted {_wanted(labels)}"
        )
    return classes


def _wanted(labels: LabelMapping) -> str:
    if labels != PLAIN_LABELS:
        return f"those of labels ({labels}); name them there, or set labels.other=rest"
    return (
        f"{OTHER} (other), {CROPLAND} (cropland) or {IGNORE} (no label, nodata); recode it, or give the class map "
        "if this is one of classes or probabilities"
    )


def _named(values: NDArray[np.generic]) -> str:
    names = ", ".join(f"{value:g}" for value in values[:NAMED_VALUES].tolist())
    return f"{names}, ... ({len(values)} different)" if len(values) > NAMED_VALUES else names


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
