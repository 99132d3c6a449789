"""Compare stored values with a nodata value, and detect undeclared constants that mean "no data" (voids)."""

from collections.abc import Set
from decimal import Decimal
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from seg.errors import UndeclaredNodataError

BoolMask = npt.NDArray[np.bool_]
Extremes = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]
"""Least and greatest value of each band, (C,) each."""

LARGEST_MEASURED = 1e10
"""Measured values, such as reflectance, digital numbers, temperature or backscatter, are never this large. Larger
values are voids."""

NO_DATA_FROM = 1e30
"""Values of this magnitude or more count as no data, like infinity: for example the lowest float32, -3.4e38,
and the fill value of netCDF, 9.97e36."""

LOW_VOIDS = (-999.0, -9999.0, -99999.0, -999999.0, -32767.0, -32768.0, -2147483648.0)
"""Common voids of signed bands. Such a value is a void if no other value is close to it."""

HIGH_VOIDS = (65535.0, 2147483648.0, 4294967296.0)
"""Largest 16-bit and 32-bit integers as float32. Such a value is a void if all bands hold it in many pixels."""

_LOW, _HIGH = frozenset(LOW_VOIDS), frozenset(HIGH_VOIDS)

_ALONE = 0.9
"""A void must make up at least this share of the values that are more extreme than half the void (for -9999, of the
values below about -5000). The other values may be mixtures of the void with measured values, which resampling
creates."""

_HIGH_SHARE = 0.05
"""A high void must fill at least this share of a window; if fewer pixels have this value, they count as saturated."""


def is_missing(values: npt.NDArray[np.generic], nodata: float) -> BoolMask:
    """True where values mean "no data".

    A nodata value beyond LARGEST_MEASURED matches all values that round to its printed digits, since files and users
    round such values: -3.4e38 matches the lowest float32, -3.4028235e38. A smaller nodata value is first rounded to the
    band's type.

    Args:
        values: Values as stored, or as float32.
        nodata: The value that means "no data".
    """
    if not LARGEST_MEASURED <= abs(nodata) < np.inf:
        return np.asarray(values == nodata)
    low, high = _printed_range(nodata)
    numbers = values.astype(np.float64)
    return np.asarray((numbers >= low) & (numbers <= high))


def extremes(image: npt.NDArray[np.generic], stored: Set[str]) -> Extremes:
    """(C,) smallest and (C,) largest value of each band; 0 if these data types cannot hold a void.

    Examining every value takes a tenth of the time of reading an uncompressed raster, so values are examined only if
    needed.

    Args:
        image: (C, H, W) pixels in stored units, as float32 or in their own type.
        stored: Data types of the bands.
    """
    nothing: npt.NDArray[np.float32] = np.zeros(len(image), np.float32)
    # A void of uint16 is in all bands, so the first band is enough.
    unsigned_16 = stored == {"uint16"}
    if image.size == 0 or stored == {"uint8"} or (unsigned_16 and image[0].max() < HIGH_VOIDS[0]):
        return nothing, nothing
    bands = image.reshape(len(image), -1)
    low = nothing if unsigned_16 else bands.min(axis=1).astype(np.float32)
    return low, nothing if stored == {"int16"} else bands.max(axis=1).astype(np.float32)


def is_suspicious(found: Extremes) -> bool:
    """True if the extremes of an image could be voids, so that `require_plausible` must examine all pixels."""
    low, high = (values.tolist() for values in found)  # Plain Python is faster than NumPy for a few numbers.
    beyond = any(abs(value) >= LARGEST_MEASURED for value in (*low, *high))
    return beyond or not _LOW.isdisjoint(low) or _HIGH.issuperset(high)


def require_plausible(name: str, image: npt.NDArray[np.float32], valid: BoolMask) -> None:
    """Check that valid pixels hold no undeclared constant that means "no data".

    A network would spread such a value over its receptive field, and the value would dominate the band statistics.

    Args:
        name: The file, for the message.
        image: (C, H, W) pixels in stored units.
        valid: (H, W) True where every band holds data according to the file.

    Raises:
        UndeclaredNodataError: A band holds a value beyond LARGEST_MEASURED, or a common void far from all other values.
    """
    pixels = image.reshape(len(image), -1) if valid.all() else image[:, valid]
    if pixels.size == 0:
        return
    low, high = pixels.min(axis=1), pixels.max(axis=1)
    for band, values in enumerate(pixels):
        for value in (float(low[band]), float(high[band])):
            if abs(value) >= LARGEST_MEASURED:
                raise _undeclared(name, value, int((values == value).sum()))
        void = float(low[band])
        if void in LOW_VOIDS and (values == void).sum() >= _ALONE * (values < void / 2).sum():
            raise _undeclared(name, void, int((values == void).sum()))
    if high[0] in HIGH_VOIDS and (high == high[0]).all():
        void = float(high[0])
        count = int((pixels == void).all(axis=0).sum())
        near = int((pixels > void / 2).any(axis=0).sum())
        if count >= max(_ALONE * near, _HIGH_SHARE * valid.size):
            raise _undeclared(name, void, count)


def _undeclared(name: str, value: float, count: int) -> UndeclaredNodataError:
    # float32 rounds the largest 32-bit integers up by one.
    whole = value - 1 if value in HIGH_VOIDS[1:] else value
    shown = f"{whole:.0f}" if whole.is_integer() and abs(whole) < LARGEST_MEASURED else f"{value:.8g}"
    return UndeclaredNodataError(
        f"{name}: holds {shown} in at least {count} pixels as data, wanted measured values; if it means no data, add "
        f"--nodata={shown} (--data.nodata in training), or declare it with gdal_edit.py -a_nodata {shown}"
    )


@lru_cache(maxsize=64)
def _printed_range(nodata: float) -> tuple[float, float]:
    """Smallest and largest number that round to the printed digits of a nodata value."""
    printed = [Decimal(repr(nodata)).normalize()]
    if abs(nodata) <= float(np.finfo(np.float32).max):
        printed.append(Decimal(str(np.float32(nodata))).normalize())
    shortest = min(printed, key=lambda number: len(number.as_tuple().digits))
    exponent = shortest.as_tuple().exponent
    half = Decimal(5).scaleb(int(exponent) - 1)
    return float(shortest - half), float(shortest + half)
