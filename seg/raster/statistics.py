"""Mean, standard deviation and percentiles of each band over valid pixels, computed sample by sample."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seg.errors import RasterError

Samples = Callable[[], Iterable[npt.NDArray[np.float32]]]
"""Function that returns an iterator over samples, (C, N) valid pixels each; called once for each pass."""

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
        count: Number of valid pixels. If the bands have several dates, the number for the date with the most valid
            pixels.
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


def band_statistics(samples: Iterable[npt.NDArray[np.float32]]) -> BandStatistics:
    """Mean and standard deviation of all samples together, one sample in memory at a time.

    Samples are merged by the update of Chan, Golub and LeVeque (1983), https://doi.org/10.1080/00031305.1983.10483115.
    A plain sum of squared values would lose digits.

    Args:
        samples: (C, N) valid pixels each, NaN in the bands of missing dates; N may be 0, C must not change.

    Raises:
        RasterError: There is no valid pixel, or a date has no valid pixel.
    """
    found = _merged(samples)
    if found is None or not found[0].all():
        raise RasterError("the training scenes hold no valid pixel, so bands have no statistics; check their nodata")
    return _finished(*found)


def scene_band_statistics(samples: Iterable[npt.NDArray[np.float32]], bands: int) -> BandStatistics:
    """Mean and standard deviation of the samples of one scene, which may lack a date or hold no valid pixel.

    Args:
        samples: As for `band_statistics`.
        bands: Number of bands.

    Returns:
        Statistics; mean 0 and deviation 1 for a band without a valid pixel.
    """
    found = _merged(samples)
    return BandStatistics((0.0,) * bands, (1.0,) * bands, 0) if found is None else _finished(*found)


def _merged(
    samples: Iterable[npt.NDArray[np.float32]],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.float64]] | None:
    """Number of pixels, mean and sum of squared differences of each band; None if no sample has a pixel."""
    counts: npt.NDArray[np.int64] = np.zeros(0, np.int64)
    mean = squares = np.zeros(0)
    for sample in samples:
        if sample.shape[1] == 0:
            continue
        sizes, centre, spread = _moments(sample.astype(np.float64))
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


def _moments(
    values: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Number of pixels, mean, and sum of squared differences from the mean of each band; overwrites the values."""
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


def statistics_with_percentiles(samples: Samples, small_integers: bool) -> tuple[BandStatistics, BandPercentiles]:
    """Mean, standard deviation and percentiles of all samples together, one sample in memory at a time.

    Small integers take one pass, and their percentiles are exact. Other data types take a second pass, which counts
    pixels in BINS bins between a band's smallest and largest value. The error of such a percentile is less than the
    width of a bin.

    Args:
        samples: Function that returns the samples; called for each pass.
        small_integers: True if all pixels are of the SMALL_INTEGERS types.

    Raises:
        RasterError: There is no valid pixel.
    """
    if small_integers:
        return _exact(samples)
    lowest: list[npt.NDArray[np.float32]] = []
    highest: list[npt.NDArray[np.float32]] = []

    def watched() -> Iterator[npt.NDArray[np.float32]]:
        for sample in samples():
            if sample.shape[1]:
                lowest[:] = [np.fmin.reduce([*lowest, np.fmin.reduce(sample, axis=1)])]
                highest[:] = [np.fmax.reduce([*highest, np.fmax.reduce(sample, axis=1)])]
            yield sample

    statistics = band_statistics(watched())
    low, high = lowest[0].astype(np.float64), highest[0].astype(np.float64)
    counts = _Counts(low, (high - low) / BINS, BINS)
    for sample in samples():
        counts.add(sample)
    return statistics, _percentiles(counts, 0.5, counts.width)


class _Counts:
    """Histogram of each band with bins of equal width; if `integers` is true, each integer has a bin."""

    def __init__(
        self, lowest: npt.NDArray[np.float64], width: npt.NDArray[np.float64], bins: int, integers: bool = False
    ) -> None:
        self.lowest, self.width, self._integers = lowest, width, integers
        self.counts = np.zeros((len(lowest), bins), dtype=np.int64)

    def add(self, sample: npt.NDArray[np.float32]) -> None:
        bins = self.counts.shape[1]
        for band, values in enumerate(sample):
            if np.isnan(values.sum()):
                values = values[~np.isnan(values)]
            if self._integers:
                places = values.astype(np.int64)
                places -= int(self.lowest[band])
            else:
                steps = (values - self.lowest[band]) / (self.width[band] or 1.0)
                places = np.minimum(steps.astype(np.int64), bins - 1)
            self.counts[band] += np.bincount(places, minlength=bins)

    def percentile(self, percent: float, within_bin: float) -> tuple[float, ...]:
        """Value of each band at a percentile; `within_bin`, 0 to 1, is the assumed position of values within a bin."""
        up_to = self.counts.cumsum(axis=1)
        rank = (up_to[:, -1] - 1) * percent / 100
        before, after = (
            np.array([np.searchsorted(*pair, side="right") for pair in zip(up_to, positions, strict=True)])
            for positions in (np.floor(rank), np.ceil(rank))
        )
        places = before + (after - before) * (rank % 1) + within_bin
        return tuple((self.lowest + places * self.width).tolist())


def _exact(samples: Samples) -> tuple[BandStatistics, BandPercentiles]:
    counts: list[_Counts] = []

    def watched() -> Iterator[npt.NDArray[np.float32]]:
        for sample in samples():
            if not counts:
                bands = sample.shape[0]
                lowest, width = np.full(bands, float(_LOWEST)), np.ones(bands)
                counts.append(_Counts(lowest, width, _HIGHEST - _LOWEST + 1, integers=True))
            counts[0].add(sample)
            yield sample

    statistics = band_statistics(watched())
    return statistics, _percentiles(counts[0], 0.0, np.zeros(len(statistics.mean)))


def _percentiles(counts: _Counts, within_bin: float, error: npt.NDArray[np.float64]) -> BandPercentiles:
    low, high = (counts.percentile(percent, within_bin) for percent in PERCENTILES)
    return BandPercentiles(low, high, tuple(error.tolist()))
