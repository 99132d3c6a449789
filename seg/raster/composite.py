"""A colour composite of a scene for the eye, read at display size."""

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from rasterio.enums import Resampling
from rasterio.io import DatasetReader

from seg.raster.chips import read_band
from seg.raster.grid import data_bands

COLOURS = ("red", "green", "blue")
STRETCH_PERCENTILES = (2, 98)
"""Usual for display: a cloud or a few dark pixels must not flatten the rest."""


def display_bands(dataset: DatasetReader) -> tuple[int, ...]:
    """The bands to show as red, green and blue, counted from 1; a single one is shown in grey.

    Bands are chosen by description ("red", "B04 red", but not "red edge"), else the first three, else the first.
    """
    named = colour_bands(dataset.descriptions)
    if named:
        return named
    first = data_bands(dataset)[:3]
    return tuple(first if len(first) == 3 else first[:1])


def colour_bands(descriptions: Sequence[str | None]) -> tuple[int, ...] | None:
    """The bands that are described as red, green and blue, counted from 1; None unless all three are."""
    named = [_described(descriptions, colour) for colour in COLOURS]
    return tuple(band for band in named if band) if all(named) else None


def read_composite(
    dataset: DatasetReader, shape: tuple[int, int], nodata: float | None = None
) -> npt.NDArray[np.float64]:
    """A scene's bands stretched for display, (H, W, 4): red, green, blue and opacity, each 0 to 1.

    A pixel that is invalid in a shown band is transparent.

    Args:
        dataset: An open scene.
        shape: Height and width to read at.
        nodata: A further value that means "no data", for files that do not say so themselves.

    Raises:
        RasterError: The file is damaged or ends early.
    """
    layers, opaque = [], np.ones(shape, dtype=np.bool_)
    for band in display_bands(dataset):
        # Averaging, not nearest: picking every n-th pixel of a large scene looks like noise.
        values, valid = read_band(dataset, band, shape=shape, resampling=Resampling.average)
        if nodata is not None:
            # An average of such a value with others is another one.
            stored, _ = read_band(dataset, band, shape=shape)
            valid &= (stored != nodata) & (values != nodata)
        layers.append(stretch(values.astype(np.float64), valid))
        opaque &= valid
    red, green, blue = layers if len(layers) == 3 else layers * 3
    return np.stack([red, green, blue, opaque.astype(np.float64)], axis=-1)


def stretch(values: npt.NDArray[np.float64], valid: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Values scaled so that the 2nd percentile of the valid ones is 0 and the 98th is 1; 0 where invalid."""
    return stretch_between(values, valid, display_limits(values, valid))


def display_limits(values: npt.NDArray[np.float64], valid: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """The 2nd and the 98th percentile of the valid values; 0 and 0 where there are none."""
    if not valid.any():
        return 0.0, 0.0
    low, high = np.percentile(values[valid], STRETCH_PERCENTILES)
    return float(low), float(high)


def stretch_between(
    values: npt.NDArray[np.float64], valid: npt.NDArray[np.bool_], limits: tuple[float, float]
) -> npt.NDArray[np.float64]:
    """Values scaled so that the lower limit is 0 and the higher 1, and clipped to that; 0 where invalid."""
    low, high = limits
    scaled = (np.where(valid, values, low) - low) / max(high - low, np.finfo(np.float64).tiny)
    clipped: npt.NDArray[np.float64] = np.clip(scaled, 0.0, 1.0)
    return clipped


def _described(descriptions: Sequence[str | None], colour: str) -> int | None:
    pattern = re.compile(rf"\b{colour}\b(?!\W*edge)", re.IGNORECASE)
    matches = [i for i, text in enumerate(descriptions, start=1) if pattern.search(text or "")]
    return matches[0] if matches else None
