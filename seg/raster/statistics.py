"""Mean, standard deviation and percentiles of each band over valid pixels, computed sample by sample."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seg.errors import RasterError

Pixels = npt.NDArray[np.float32]
"""A sample: (C, N) valid pixels, NaN in the bands of missing dates; N may be 0, C must not change."""

PERCENTILES = (2, 98)
"""Percentiles for stretching pictures of an image."""

SMALL_INTEGERS = frozenset({"uint8", "int8", "uint16", "int16"})
"""Data types with at most 65,536 values, few enough to count the pixels of each value."""

BINS = 65_536
"""Number of bins for the values of other data types."""

_LOWEST, _HIGHEST = -32_768, 65_535


@dataclass(frozen=True)
class BandStatistics:
    """Mean and standard deviation of each band, in the scenes' stored units.

    Attributes:
        mean: One value per band.
        std: One value per band, above 0; 1 for a constant band, so that normalisation turns the band into 0.
        count: Number of valid pixels; of several dates, those of the most frequent date.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    count: int


@dataclass(frozen=True)
class BandPercentiles:
    """Percentiles of each band, in the scenes' stored units.

    A percentile between two pixels in sorted order is interpolated linearly.

    Attributes:
        low: The 2nd percentile, one value per band.
        high: The 98th percentile, one value per band.
        error: Largest possible error, one value per band; 0 for the types in SMALL_INTEGERS.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    error: tuple[float, ...]


@dataclass(frozen=True)
class Bins:
    """Bins of equal width in which the pixels of each band are counted.

    Attributes:
        lowest: (C,) lower limit of the first bin.
        width: (C,) width of a bin; 0 for a constant band.
        number: Number of bins.
        integers: True if each integer has a bin.
    """

    lowest: npt.NDArray[np.float64]
    width: npt.NDArray[np.float64]
    number: int
    integers: bool = False

    @property
    def error(self) -> npt.NDArray[np.float64]:
        """(C,) largest possible error of a percentile."""
        return np.zeros(len(self.width)) if self.integers else self.width


@dataclass(frozen=True)
class BinCounts:
    """Pixels of some samples by band and bin, without the empty bins at both ends.

    Attributes:
        first: Number of the first bin.
        counts: (C, K) pixels in this bin and the K - 1 following bins.
    """

    first: int
    counts: npt.NDArray[np.int64]


@dataclass(frozen=True)
class PartStatistics:
    """Statistics of a part of all samples, such as the samples of one scene; small enough to send to another process.

    Attributes:
        sizes: (S, C) number of pixels of each sample; S is 0 if no pixel is valid.
        means: (S, C) mean of each sample.
        squares: (S, C) sum of squared differences from the mean of each sample.
        lowest: (C,) smallest value; empty if integers are counted, or if no pixel is valid.
        highest: (C,) largest value; empty like `lowest`.
        integers: Pixels of each integer; None if integers are not counted, or if no pixel is valid.
    """

    sizes: npt.NDArray[np.int64]
    means: npt.NDArray[np.float64]
    squares: npt.NDArray[np.float64]
    lowest: Pixels
    highest: Pixels
    integers: BinCounts | None


def band_statistics(samples: Iterable[Pixels]) -> BandStatistics:
    """Mean and standard deviation of all samples together, one sample in memory at a time.

    Raises:
        RasterError: No pixel is valid, or a date has no valid pixel.
    """
    return _of_training(_moments(sample) for sample in samples if sample.shape[1])


def scene_band_statistics(samples: Iterable[Pixels], bands: int) -> BandStatistics:
    """Mean and standard deviation of the samples of one scene, which may lack a date or hold no valid pixel.

    Args:
        samples: As for `band_statistics`.
        bands: Number of bands.

    Returns:
        Statistics; mean 0 and deviation 1 for a band without a valid pixel.
    """
    found = _merged(_moments(sample) for sample in samples if sample.shape[1])
    return BandStatistics((0.0,) * bands, (1.0,) * bands, 0) if found is None else _finished(*found)


def measure_part(samples: Iterable[Pixels], small_integers: bool) -> PartStatistics:
    """Measure a part of all samples, one sample in memory at a time.

    Args:
        samples: The samples.
        small_integers: True if the pixels of all parts are of the SMALL_INTEGERS types; the pixels of each value are
            then counted.
    """
    moments: list[_Moments] = []
    lowest = highest = np.zeros(0, np.float32)
    counter: _Counter | None = None
    for sample in samples:
        if not sample.shape[1]:
            continue
        moments.append(_moments(sample))
        if small_integers:
            counter = counter or _Counter(_integer_bins(len(sample)))
            counter.add(sample)
            continue
        low, high = np.fmin.reduce(sample, axis=1), np.fmax.reduce(sample, axis=1)
        lowest = np.fmin(lowest, low) if len(lowest) else low
        highest = np.fmax(highest, high) if len(highest) else high
    sizes, means, squares = (np.array(values) for values in zip(*moments, strict=True)) if moments else _NOTHING
    return PartStatistics(sizes, means, squares, lowest, highest, counter.found() if counter else None)


def count_part(samples: Iterable[Pixels], bins: Bins) -> BinCounts:
    """Count the pixels of a part of all samples in bins.

    Args:
        samples: The samples.
        bins: The bins, which hold all pixels.
    """
    counter = _Counter(bins)
    for sample in samples:
        if sample.shape[1]:
            counter.add(sample)
    return counter.found()


def statistics_of_parts(
    parts: Sequence[PartStatistics], count: Callable[[Bins], Iterable[BinCounts]]
) -> tuple[BandStatistics, BandPercentiles]:
    """Mean, standard deviation and percentiles of all parts together.

    Mean and standard deviation have the same bits as those of `band_statistics` over all samples in order. Percentiles
    of small integers are exact. Other data types need a second pass, which counts pixels in BINS bins between a band's
    smallest and largest value. The error of such a percentile is less than the width of a bin.

    Args:
        parts: Statistics of the parts, in order.
        count: Second pass: calls `count_part` for each part. It is not called if the integers were counted.

    Raises:
        RasterError: No pixel is valid, or a date has no valid pixel.
    """
    statistics = _of_training(
        moments for part in parts for moments in zip(part.sizes, part.means, part.squares, strict=True)
    )
    integers = [part.integers for part in parts if part.integers is not None]
    if integers:
        bins, found = _integer_bins(len(statistics.mean)), iter(integers)
    else:
        held = [part for part in parts if len(part.lowest)]
        low = np.fmin.reduce([part.lowest for part in held]).astype(np.float64)
        high = np.fmax.reduce([part.highest for part in held]).astype(np.float64)
        bins = Bins(low, (high - low) / BINS, BINS)
        found = iter(count(bins))
    counts = np.zeros((len(statistics.mean), bins.number), dtype=np.int64)
    for part in found:
        counts[:, part.first : part.first + part.counts.shape[1]] += part.counts
    return statistics, _percentiles(bins, counts)


_Moments = tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.float64]]
"""Number of pixels, mean, and sum of squared differences from the mean, of each band of a sample."""

_NOTHING: _Moments = np.zeros((0, 0), np.int64), np.zeros((0, 0)), np.zeros((0, 0))


def _of_training(samples: Iterable[_Moments]) -> BandStatistics:
    found = _merged(samples)
    if found is None or not found[0].all():
        raise RasterError("the training scenes hold no valid pixel, so bands have no statistics; check their nodata")
    return _finished(*found)


def _merged(samples: Iterable[_Moments]) -> _Moments | None:
    """Merge samples by the update of Chan, Golub and LeVeque (1983), https://doi.org/10.1080/00031305.1983.10483115.

    A plain sum of squared values would lose digits. Without samples, the result is None.
    """
    counts: npt.NDArray[np.int64] = np.zeros(0, np.int64)
    mean = squares = np.zeros(0)
    for sizes, centre, spread in samples:
        if not len(counts):
            counts, mean, squares = sizes, centre, spread
            continue
        total, apart = np.maximum(counts + sizes, 1), centre - mean
        squares = squares + spread + apart**2 * (counts * sizes / total)
        mean, counts = mean + apart * (sizes / total), counts + sizes
    return (counts, mean, squares) if len(counts) else None


def _finished(
    counts: npt.NDArray[np.int64], mean: npt.NDArray[np.float64], squares: npt.NDArray[np.float64]
) -> BandStatistics:
    std = np.sqrt(squares / np.maximum(counts, 1))
    std[std == 0] = 1.0
    return BandStatistics(tuple(mean.tolist()), tuple(std.tolist()), int(counts.max()))


def _moments(sample: Pixels) -> _Moments:
    values = sample.astype(np.float64)
    sizes: npt.NDArray[np.int64] = np.full(len(values), values.shape[1], np.int64)
    centre = values.mean(axis=1)
    absent = np.isnan(values) if np.isnan(centre).any() else None
    if absent is not None:
        sizes = sizes - absent.sum(axis=1)
        centre = np.where(absent, 0, values).sum(axis=1) / np.maximum(sizes, 1)
    values -= centre[:, None]
    if absent is not None:
        values[absent] = 0
    return sizes, centre, np.square(values, out=values).sum(axis=1)


def _integer_bins(bands: int) -> Bins:
    return Bins(np.full(bands, float(_LOWEST)), np.ones(bands), _HIGHEST - _LOWEST + 1, integers=True)


class _Counter:
    """Histogram of each band."""

    def __init__(self, bins: Bins) -> None:
        self.bins = bins
        self._counts = np.zeros((len(bins.lowest), bins.number), dtype=np.int64)

    def add(self, sample: Pixels) -> None:
        bins = self.bins
        for band, values in enumerate(sample):
            if np.isnan(values.sum()):
                values = values[~np.isnan(values)]
            if bins.integers:
                places = values.astype(np.int64)
                places -= int(bins.lowest[band])
            else:
                steps = (values - bins.lowest[band]) / (bins.width[band] or 1.0)
                places = np.minimum(steps.astype(np.int64), bins.number - 1)
            self._counts[band] += np.bincount(places, minlength=bins.number)

    def found(self) -> BinCounts:
        held = np.flatnonzero(self._counts.any(axis=0))
        first, last = (int(held[0]), int(held[-1])) if len(held) else (0, -1)
        return BinCounts(first, self._counts[:, first : last + 1].copy())


def _percentiles(bins: Bins, counts: npt.NDArray[np.int64]) -> BandPercentiles:
    low, high = (_percentile(bins, counts.cumsum(axis=1), percent) for percent in PERCENTILES)
    return BandPercentiles(low, high, tuple(bins.error.tolist()))


def _percentile(bins: Bins, up_to: npt.NDArray[np.int64], percent: float) -> tuple[float, ...]:
    """Value of each band at a percentile; numbers other than integers count as the middle of their bin."""
    rank = (up_to[:, -1] - 1) * percent / 100
    before, after = (
        np.array([np.searchsorted(*pair, side="right") for pair in zip(up_to, positions, strict=True)])
        for positions in (np.floor(rank), np.ceil(rank))
    )
    places = before + (after - before) * (rank % 1) + (0.0 if bins.integers else 0.5)
    return tuple((bins.lowest + places * bins.width).tolist())
