"""Stored values that mean "no data": comparison with a nodata value, and constants that no sensor measures."""

from decimal import Decimal
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from seg.errors import UndeclaredNodataError

BoolMask = npt.NDArray[np.bool_]

LARGEST_MEASURED = 1e10
"""Above every stored reflectance, digital number, temperature or backscatter, and below the void of floats."""

NO_DATA_FROM = 1e30
"""From this size on, numbers count as no data like infinity, for example the least float32, or 9.97e36 of netCDF."""

LOW_VOIDS = (-999.0, -9999.0, -99999.0, -999999.0, -32767.0, -32768.0, -2147483648.0)
"""Usual voids of signed bands. One of them is a void if no other value comes near it."""

HIGH_VOIDS = (65535.0, 2147483648.0, 4294967296.0)
"""Largest values of 16 and 32 bits as float32; voids if all bands hold them in many pixels."""

_ALONE = 0.9
"""Least share of the void among values beyond its half; resampling mixes some voids with their neighbours."""

_HIGH_SHARE = 0.05
"""Least share of a window for a high void: single pixels are saturated."""


def is_missing(values: npt.NDArray[np.generic], nodata: float) -> BoolMask:
    """True where values mean "no data".

    Beyond LARGEST_MEASURED, values match within the printed digits of the nodata value, since files and users round it:
    -3.4e38 matches the least float32, -3.4028235e38. Smaller ones match as the band's type rounds them.

    Args:
        values: Values as stored, or as float32.
        nodata: The value that means "no data".
    """
    if not LARGEST_MEASURED <= abs(nodata) < np.inf:
        return np.asarray(values == nodata)
    low, high = _printed_range(nodata)
    numbers = values.astype(np.float64)
    return np.asarray((numbers >= low) & (numbers <= high))


def require_plausible(name: str, image: npt.NDArray[np.float32], valid: BoolMask) -> None:
    """Check that valid pixels hold no constant that stands for "no data" without being declared.

    A network would spread such a value over its receptive field, and statistics would be those of the void.

    Args:
        name: The file, for the message.
        image: (C, H, W) pixels in stored units.
        valid: (H, W) True where every band carries data, as far as the file says.

    Raises:
        UndeclaredNodataError: A band holds a value beyond LARGEST_MEASURED, or a usual void that stands alone.
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
    # float32 rounds the largest values of 32 bits up by one.
    whole = value - 1 if value in HIGH_VOIDS[1:] else value
    shown = f"{whole:.0f}" if whole.is_integer() and abs(whole) < LARGEST_MEASURED else f"{value:.8g}"
    return UndeclaredNodataError(
        f"{name}: holds {shown} in at least {count} pixels as data, wanted measured values; if it means no data, add "
        f"--nodata={shown} (--data.nodata in training), or declare it with gdal_edit.py -a_nodata {shown}"
    )


@lru_cache(maxsize=64)
def _printed_range(nodata: float) -> tuple[float, float]:
    """Least and greatest value that are printed as a nodata value, with the digits that it has."""
    printed = [Decimal(repr(nodata)).normalize()]
    if abs(nodata) <= float(np.finfo(np.float32).max):
        printed.append(Decimal(str(np.float32(nodata))).normalize())
    shortest = min(printed, key=lambda number: len(number.as_tuple().digits))
    exponent = shortest.as_tuple().exponent
    half = Decimal(5).scaleb(int(exponent) - 1)
    return float(shortest - half), float(shortest + half)
