"""Combine the pixels of several dates into one pixel by median, medoid or order; exact for integers."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from seg.imagery.settings import Method
from seg.raster.chips import BoolMask

Pixels = npt.NDArray[Any]
"""Stored values of any type that GDAL stores."""

Count = npt.NDArray[np.uint16]

AT_ONCE = 2**16
"""Number of pixels that are combined at once. With this number, the values of a few dates fit the processor's cache."""


def combine_dates(values: Pixels, valid: BoolMask, method: Method) -> tuple[Pixels, Count]:
    """Combine dates pixel by pixel; a date takes part where it is valid.

    - `median`: the median of each band. For an even number of dates, this is the mean of the two middle values. In
      integer bands, a mean that ends in .5 is rounded to the even integer.
    - `best`: the medoid, the date whose bands have the smallest sum of Euclidean distances to all other dates: Flood
      (2013), https://doi.org/10.3390/rs5126481. All bands of a pixel come from one date. If sums are equal, as they are
      with two dates, the first of these dates is taken.
    - `first`: the first valid date.

    Args:
        values: (T, C, H, W) stored values of T dates. Values of invalid pixels are arbitrary. The median overwrites
            the array.
        valid: (T, H, W) True where a date holds data.
        method: The method.

    Returns:
        (C, H, W) values of the same type, 0 where no date is valid, and (H, W) number of valid dates.
    """
    dates, bands, height, width = values.shape
    combined = np.zeros((bands, height, width), values.dtype)
    count = valid.sum(axis=0, dtype=np.uint16)
    function = {"median": _median, "best": _medoid, "first": _first}[method]
    rows = max(AT_ONCE // width, 1)
    for top in range(0, height, rows) if dates else ():
        part = slice(top, top + rows)
        function(values[:, :, part], valid[:, part], count[part], combined[:, part])
    return combined, count


def _median(values: Pixels, valid: BoolMask, count: Count, combined: Pixels) -> None:
    """Write the median of each band to `combined`."""
    is_float, kind = values.dtype.kind == "f", values.dtype.type
    low, high = (-np.inf, np.inf) if is_float else (np.iinfo(values.dtype).min, np.iinfo(values.dtype).max)
    # Maxima and products take a tenth of the time of assignments under a mask. `fmax` ignores NaN in invalid pixels.
    larger = np.fmax if is_float else np.maximum
    for date, present in zip(values, valid, strict=True):
        if not present.all():
            larger(date, np.where(present, kind(low), kind(high)), out=date)
    # Invalid values hold the largest number, so they are sorted to the end, among valid values of the same number.
    ordered = _sorted(list(values))
    numbers = np.bincount(count.ravel())
    for number in np.flatnonzero(numbers[1:]) + 1:
        below, above = ordered[(number - 1) // 2], ordered[number // 2]
        middle = below if number % 2 else (_float_mean if is_float else _integer_mean)(below, above)
        chosen = count == number
        if is_float:  # The product of infinity and 0 is NaN.
            np.copyto(combined, middle, where=chosen)
        else:
            combined += middle * chosen


def _sorted(layers: list[Pixels]) -> list[Pixels]:
    """Sort arrays of equal shape element by element; the result uses their memory.

    A sorting network needs no branches, so it is several times as fast as `np.sort` for a few dates.
    """
    spare = np.empty_like(layers[0])
    for first, second in _comparisons(len(layers)):
        np.minimum(layers[first], layers[second], out=spare)
        np.maximum(layers[first], layers[second], out=layers[second])
        layers[first], spare = spare, layers[first]
    return layers


@lru_cache(maxsize=64)
def _comparisons(number: int) -> tuple[tuple[int, int], ...]:
    """Comparisons that sort a number of values: Batcher's merge exchange, algorithm 5.2.2 M of Knuth (1998)."""
    return tuple(_merge_exchange(number))


def _merge_exchange(number: int) -> Iterator[tuple[int, int]]:
    highest = 1 << max((number - 1).bit_length() - 1, 0)
    step = highest
    while step:
        distance, rest, largest = step, 0, highest
        while True:
            yield from ((i, i + distance) for i in range(number - distance) if i & step == rest)
            if largest == step:
                break
            distance, largest, rest = largest - step, largest // 2, step
        step //= 2


def _integer_mean(low: Pixels, high: Pixels) -> Pixels:
    """Mean of integers without overflow, rounded to the nearest even integer as by `np.rint`."""
    floor = (low & high) + ((low ^ high) >> 1)
    half = (low ^ high) & 1  # 1 if the mean ends in .5
    mean: Pixels = floor + (half & floor)
    return mean


def _float_mean(low: Pixels, high: Pixels) -> Pixels:
    mean: Pixels = (low + high) / 2
    return mean


def _medoid(values: Pixels, valid: BoolMask, count: Count, combined: Pixels) -> None:
    """Write all bands of the medoid date to `combined`."""
    exact = values.dtype.itemsize <= 2 or values.dtype == np.float32
    numbers = values.astype(np.float32 if exact else np.float64)
    sums = np.zeros(valid.shape, numbers.dtype)
    with np.errstate(invalid="ignore", over="ignore"):  # Invalid pixels may hold NaN.
        for first in range(len(values)):
            for second in range(first + 1, len(values)):
                distance = np.sqrt(np.square(numbers[first] - numbers[second]).sum(axis=0))
                for one, other in ((first, second), (second, first)):
                    np.add(sums[one], distance, out=sums[one], where=valid[other])
    sums[~valid] = np.inf
    chosen = sums.argmin(axis=0)
    for date, taken in enumerate(values):
        np.copyto(combined, taken, where=(chosen == date) & (count > 0))


def _first(values: Pixels, valid: BoolMask, count: Count, combined: Pixels) -> None:
    """Write the first valid date to `combined`."""
    for date, present in zip(values[::-1], valid[::-1], strict=True):
        np.copyto(combined, date, where=present)
