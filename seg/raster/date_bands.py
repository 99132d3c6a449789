"""Bands of several dates in one scene, with names such as "B04@2024-05-11"."""

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from seg.errors import RasterError

DateMask = npt.NDArray[np.uint16]
"""(H, W) bits: bit d is set where date d holds no data."""

SEPARATOR = "@"
"""Character between the name of a band and its date."""

DATE = re.compile(r"\d{4}(-?\d\d(-?\d\d([T ].*)?)?)?|[^\W\d_]+")
"""Form of a date: a day, a month or a year such as "2024-05-11", or a word such as "harvest"; not "490nm"."""

MOST_DATES = 16
"""Largest number of dates in a scene; `Chip.missing` has one bit for each."""

UNDATED = -1
"""Date of a band without a date in its name."""


def dated_name(band: str, date: str) -> str:
    """Name of a band of a date, such as "B04@2024-05-11"."""
    return f"{band}{SEPARATOR}{date}"


def dates_of(names: Sequence[str]) -> tuple[int, ...]:
    """Date of each band, counted from 0 in the order of the bands; UNDATED for a band without a date.

    The date is the text after the last "@" of the name, if it has the form of DATE.

    Args:
        names: Names of the bands.

    Returns:
        One number per band; () if the bands have fewer than two dates. In this case, a pixel is valid only if all bands
        hold data.

    Raises:
        RasterError: There are more than MOST_DATES dates.
    """
    texts = [_date_of(name) for name in names]
    dates = {text: number for number, text in enumerate(dict.fromkeys(text for text in texts if text))}
    if len(dates) > MOST_DATES:
        raise RasterError(f"bands have {len(dates)} dates, wanted at most {MOST_DATES}; choose fewer bands")
    return tuple(dates.get(text, UNDATED) for text in texts) if len(dates) > 1 else ()


def _date_of(name: str) -> str:
    date = name.rpartition(SEPARATOR)[2] if SEPARATOR in name else ""
    return date if DATE.fullmatch(date) else ""


def missing_bands(missing: DateMask, dates: Sequence[int]) -> npt.NDArray[np.bool_]:
    """(C, H, W) True where the date of a band is missing.

    Args:
        missing: (H, W) bits of the dates without data.
        dates: Date of each band, as `dates_of` returns them.
    """
    numbers = np.asarray(dates)[:, None, None]
    return np.asarray((numbers != UNDATED) & (missing[None] >> np.maximum(numbers, 0) & 1).astype(bool))
