"""Summary of a scene's pixels, computed in one pass, window by window."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from rasterio.io import DatasetReader
from rasterio.windows import Window

from seg.data.dataset.checks import LabelCounts
from seg.labels import CROPLAND, IGNORE, OTHER
from seg.raster.chips import BoolMask, ByteMask, Chip, band_dates, measured, read_chip
from seg.raster.chips import Reading as PixelReading
from seg.raster.classes import read_classes
from seg.raster.label_mapping import PLAIN_LABELS, LabelMapping
from seg.raster.windows import window_grid

READ_SIZE = 512
SAMPLED_VALUES = 4_000_000
"""Largest number of values (pixels times bands) from which percentiles are computed. These values take 16 MB and
suffice for all pixels of a 1000x1000 scene with four bands."""


@dataclass(frozen=True)
class Reading:
    """Settings for reading images.

    Attributes:
        bands: 1-based bands.
        nodata: Additional value that means "no data", or None.
        named: True if the user named the bands; alpha tags are then ignored.
        labels: Meaning of the mask values.
        chips: True for training on chips; scenes may then have any size.
    """

    bands: tuple[int, ...]
    nodata: float | None = None
    named: bool = False
    labels: LabelMapping = PLAIN_LABELS
    chips: bool = False


@dataclass(frozen=True)
class BandValues:
    """Statistics of a band's valid values; for large scenes, percentiles are those of an evenly spread sample.

    Attributes:
        minimum: Smallest value.
        low: 2nd percentile.
        median: Median.
        high: 98th percentile.
        maximum: Largest value.
    """

    minimum: float
    low: float
    median: float
    high: float
    maximum: float


@dataclass(frozen=True)
class PixelSummary:
    """Summary of a scene's pixels.

    Attributes:
        total: Number of pixels.
        valid: Number of pixels with data in every band that was read.
        labels: Label counts of the valid pixels; None if the mask is missing or unusable.
        zeros: Number of valid pixels that are 0 in every band.
        labelled_zeros: Number of the pixels counted in `zeros` that have a label.
        bands: Statistics of each band that was read; empty if no pixel is valid.
        inside: Smallest window with all valid pixels; None if no pixel is valid.
        nodata_found: True if any pixel has the additional nodata value of the settings.
        digest: Hash that is equal for scenes with equal valid pixels, in any file format.
    """

    total: int
    valid: int
    labels: LabelCounts | None
    zeros: int
    labelled_zeros: int
    bands: tuple[BandValues, ...]
    inside: Window | None
    digest: str
    nodata_found: bool = False

    @property
    def constant(self) -> tuple[int, ...]:
        """Indexes, from 0, of the bands with a single value."""
        return tuple(i for i, band in enumerate(self.bands) if band.minimum == band.maximum)


def summarise_pixels(image: DatasetReader, mask: DatasetReader | None, reading: Reading) -> PixelSummary:
    """Summarise the pixels of a scene, read as in training; memory does not depend on the size of the scene.

    Args:
        image: The open image.
        mask: The open mask on the grid of the image; None to skip labels.
        reading: Settings for reading the image.

    Raises:
        RasterError: Pixels cannot be read, or the mask has a value that is not a label.
    """
    tally = _Tally(image.height, image.width, len(reading.bands))
    nothing = [0.0] * len(reading.bands)
    for window in window_grid(image.height, image.width, READ_SIZE, READ_SIZE):
        chip = read_chip(image, window, PixelReading(reading.bands, nothing, reading.nodata))
        if chip.missing is not None:
            chip = replace(chip, image=measured(chip, band_dates(image, reading.bands)))
        tally.add(window, chip, None if mask is None else read_classes(mask, window, reading.labels))
    return tally.summary(labelled=mask is not None)


class _Tally:
    """Sums over the windows of a scene."""

    def __init__(self, height: int, width: int, bands: int) -> None:
        self.total, self.valid, self.zeros, self.labelled_zeros = height * width, 0, 0, 0
        self.counts = np.zeros(IGNORE + 1, dtype=np.int64)
        self.least, self.greatest = np.full(bands, np.inf), np.full(bands, -np.inf)
        self.step = max(1, math.ceil(math.sqrt(self.total * bands / SAMPLED_VALUES)))
        self.samples: list[npt.NDArray[np.float32]] = []
        self.edges = [height, width, 0, 0]
        self.nodata_found = False
        self.hash = hashlib.blake2b(f"{height}x{width}x{bands}".encode(), digest_size=16)

    def add(self, window: Window, chip: Chip, classes: ByteMask | None) -> None:
        """Add a window."""
        self.hash.update(np.packbits(chip.valid).tobytes())
        self.nodata_found = self.nodata_found or chip.nodata_found
        if not chip.valid.any():
            return
        self.hash.update(chip.image.tobytes())
        values = chip.image[:, chip.valid]
        self.valid += values.shape[1]
        # Bands of missing dates hold NaN.
        self.least = np.fmin(self.least, np.fmin.reduce(values, axis=1))
        self.greatest = np.fmax(self.greatest, np.fmax.reduce(values, axis=1))
        zero = chip.valid & (chip.image == 0).all(axis=0)
        self.zeros += int(zero.sum())
        if classes is not None:
            self.counts += np.bincount(classes[chip.valid], minlength=IGNORE + 1)
            self.labelled_zeros += int((classes[zero] != IGNORE).sum())
        self._widen(window, chip.valid)
        rows, columns = (slice(-offset % self.step, None, self.step) for offset in (window.row_off, window.col_off))
        self.samples.append(chip.image[:, rows, columns][:, chip.valid[rows, columns]])

    def summary(self, labelled: bool) -> PixelSummary:
        """Summary of all windows."""
        counts = self.counts.tolist()
        top, left, bottom, right = self.edges
        return PixelSummary(
            total=self.total,
            valid=self.valid,
            labels=LabelCounts(counts[OTHER], counts[CROPLAND], counts[IGNORE]) if labelled else None,
            zeros=self.zeros,
            labelled_zeros=self.labelled_zeros,
            bands=self._bands() if self.valid else (),
            inside=Window(left, top, right - left, bottom - top) if self.valid else None,
            digest=self.hash.hexdigest(),
            nodata_found=self.nodata_found,
        )

    def _bands(self) -> tuple[BandValues, ...]:
        sample = np.concatenate(self.samples, axis=1)
        if sample.shape[1] == 0:  # No sampled pixel is valid.
            sample = np.stack([self.least, self.greatest], axis=1).astype(np.float32)
        least, greatest = (np.where(np.isfinite(values), values, 0) for values in (self.least, self.greatest))
        if np.isnan(sample).any():
            low, median, high = np.array([_percentiles(values[~np.isnan(values)]) for values in sample]).T
        else:
            low, median, high = np.percentile(sample, (2, 50, 98), axis=1)
        rows: Sequence[list[float]] = np.stack([least, low, median, high, greatest], axis=1).tolist()
        return tuple(BandValues(*row) for row in rows)

    def _widen(self, window: Window, valid: BoolMask) -> None:
        rows, columns = np.flatnonzero(valid.any(axis=1)), np.flatnonzero(valid.any(axis=0))
        top, left, bottom, right = self.edges
        self.edges = [
            min(top, window.row_off + int(rows[0])),
            min(left, window.col_off + int(columns[0])),
            max(bottom, window.row_off + int(rows[-1]) + 1),
            max(right, window.col_off + int(columns[-1]) + 1),
        ]


def _percentiles(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """The 2nd, 50th and 98th percentile; 0 for a band of a date that is missing everywhere."""
    return np.asarray(np.percentile(values, (2, 50, 98)) if len(values) else np.zeros(3))
