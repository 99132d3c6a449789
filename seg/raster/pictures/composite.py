"""Colour composites of scenes for display, read at display size."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rasterio.enums import Resampling
from rasterio.io import DatasetReader
from rasterio.windows import Window

from seg.raster.chips import read_band
from seg.raster.grid import band_texts, data_bands
from seg.raster.voids import is_missing

COLOURS = ("red", "green", "blue")
STRETCH_PERCENTILES = (2, 98)
"""Percentiles shown as black and white, so that a cloud or a few dark pixels do not reduce the contrast of the rest."""

Limits = tuple[tuple[float, float], ...]
"""Stored values that are shown darkest and brightest, one pair for each shown band."""


@dataclass(frozen=True)
class Composite:
    """Pixels of a scene, scaled for display.

    Attributes:
        colours: (H, W, 4) red, green, blue and opacity, each 0 to 1.
        limits: Stored values that are shown darkest and brightest in each band.
    """

    colours: npt.NDArray[np.float64]
    limits: Limits


def display_bands(dataset: DatasetReader) -> tuple[int, ...]:
    """Bands to show as red, green and blue, counted from 1; a single band is shown in grey.

    Bands are chosen by description ("red", "B04 red", but not "red edge"). If bands have no such descriptions, the
    first three bands are shown, or only the first band if there are fewer than three.
    """
    named = colour_bands(band_texts(dataset))
    if named:
        return named
    first = data_bands(dataset)[:3]
    return tuple(first if len(first) == 3 else first[:1])


def colour_bands(descriptions: Sequence[str | None]) -> tuple[int, ...] | None:
    """Bands described as red, green and blue, counted from 1; None if one of the three is missing."""
    named = [_described(descriptions, colour) for colour in COLOURS]
    return tuple(band for band in named if band) if all(named) else None


def read_composite(
    dataset: DatasetReader,
    shape: tuple[int, int],
    window: Window | None = None,
    limits: Limits | None = None,
    nodata: float | None = None,
) -> Composite:
    """Read the shown bands of a scene, stretched for display.

    Pixels that are invalid in a shown band are transparent.

    Args:
        dataset: An open scene.
        shape: Height and width to read at.
        window: Part of the scene; the whole scene by default.
        limits: Stored values that are shown darkest and brightest in each band; by default the percentiles of the
            pixels read.
        nodata: Additional nodata value, for files that do not declare their nodata value.

    Raises:
        RasterError: The file is damaged or truncated.
    """
    layers, used, opaque = [], [], np.ones(shape, dtype=np.bool_)
    for place, band in enumerate(display_bands(dataset)):
        # Pixels are averaged, since a picture of every n-th pixel of a large scene looks like noise.
        stored, valid = read_band(dataset, band, window, shape, Resampling.average)
        if nodata is not None:
            # The average of a nodata value with other values is a new value, so the nearest pixel is checked too.
            nearest, _ = read_band(dataset, band, window, shape)
            valid &= ~is_missing(nearest, nodata) & ~is_missing(stored, nodata)
        values = stored.astype(np.float64)
        used.append(limits[place] if limits else display_limits(values, valid))
        layers.append(stretch(values, valid, used[-1]))
        opaque &= valid
    red, green, blue = layers if len(layers) == 3 else layers * 3
    return Composite(np.stack([red, green, blue, opaque.astype(np.float64)], axis=-1), tuple(used))


def display_limits(values: npt.NDArray[np.float64], valid: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """2nd and 98th percentile of the valid values; 0 and 0 if no value is valid."""
    if not valid.any():
        return 0.0, 0.0
    low, high = np.percentile(values[valid], STRETCH_PERCENTILES)
    return float(low), float(high)


def stretch(
    values: npt.NDArray[np.float64], valid: npt.NDArray[np.bool_], limits: tuple[float, float]
) -> npt.NDArray[np.float64]:
    """Scale values so that the limits become 0 and 1, and clip them to that range; 0 where invalid."""
    low, high = limits
    scaled = (np.where(valid, values, low) - low) / max(high - low, np.finfo(np.float64).tiny)
    clipped: npt.NDArray[np.float64] = np.clip(scaled, 0.0, 1.0)
    return clipped


def _described(descriptions: Sequence[str | None], colour: str) -> int | None:
    pattern = re.compile(rf"\b{colour}\b(?!\W*edge)", re.IGNORECASE)
    matches = [i for i, text in enumerate(descriptions, start=1) if pattern.search(text or "")]
    return matches[0] if matches else None
