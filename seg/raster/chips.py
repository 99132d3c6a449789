"""Read the pixels of one window as float32 with their validity."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from rasterio._err import CPLE_OutOfMemoryError
from rasterio.enums import MaskFlags, Resampling
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from seg.errors import DamageError, RasterError
from seg.raster.date_bands import UNDATED, DateMask, dates_of, missing_bands
from seg.raster.grid import alpha_bands, band_texts, readable_metadata, require_real
from seg.raster.remote import is_remote, shown_name
from seg.raster.voids import NO_DATA_FROM, Extremes, extremes, is_missing, is_suspicious, require_plausible

FloatImage = npt.NDArray[np.float32]
BoolMask = npt.NDArray[np.bool_]
ByteMask = npt.NDArray[np.uint8]

Polygons = npt.NDArray[np.object_]
"""Shapely polygons, (N,)."""

_EXACT_IN_FLOAT32 = {"int8", "uint8", "int16", "uint16", "float32"}
"""Data types whose values float32 represents exactly."""


@dataclass(frozen=True)
class Chip:
    """The pixels of one window.

    Attributes:
        image: (C, H, W) float32 in the scene's stored units; invalid pixels hold the fill value of their band.
        valid: (H, W) bool; True where every band carries data. If the bands have several dates
            (`seg.raster.date_bands`), True where all bands of one date and all bands without a date carry data.
        nodata_found: True if a pixel holds the nodata value of the `Reading`.
        void_found: True if pixels are invalid because a value reaches NO_DATA_FROM, though the file does not declare
            this value as nodata.
        missing: Dates that hold no data at valid pixels; their bands hold fill values there. None if no date is
            missing.
    """

    image: FloatImage
    valid: BoolMask
    nodata_found: bool = False
    void_found: bool = False
    missing: DateMask | None = None


class _Storage(NamedTuple):
    """Data types, nodata values and masks of an open raster's bands.

    These properties are cached, since GDAL takes as long to report them as to read a small window.

    Attributes:
        dtypes: Data type of each band.
        nodata: Nodata value of each band, or None.
        alpha: Bands that are tagged as alpha, counted from 1.
        masked: True for each band with a mask file.
        names: Name of each band; empty where it has none.
    """

    dtypes: tuple[str, ...]
    nodata: tuple[float | None, ...]
    alpha: tuple[int, ...]
    masked: tuple[bool, ...]
    names: tuple[str, ...]


@lru_cache(maxsize=256)
def _storage(dataset: DatasetReader) -> _Storage:
    """Storage of an open raster's bands; complex numbers raise RasterError."""
    require_real(dataset)
    elsewhere = {MaskFlags.all_valid, MaskFlags.nodata, MaskFlags.alpha}
    with readable_metadata(Path(dataset.name)):
        masked = tuple(not elsewhere & set(flags) for flags in dataset.mask_flag_enums)
        return _Storage(dataset.dtypes, dataset.nodatavals, tuple(alpha_bands(dataset)), masked, band_texts(dataset))


def whole(dataset: DatasetReader) -> Window:
    """The window that covers a whole raster."""
    return Window(0, 0, dataset.width, dataset.height)


@dataclass(frozen=True)
class Reading:
    """Bands to read and the treatment of invalid pixels.

    Attributes:
        bands: 1-based band indexes in the model's order; a listed alpha band is read as data.
        fill: One value per band for invalid pixels: the training mean, which normalisation turns into 0.
        nodata: Additional nodata value, for files that do not declare their nodata value.
        dates: Date of each band, as `dates_of` returns them; by default from the names of the bands in the scene.
    """

    bands: Sequence[int]
    fill: Sequence[float]
    nodata: float | None = None
    dates: tuple[int, ...] = ()


def read_chip(dataset: DatasetReader, window: Window, reading: Reading) -> Chip:
    """Read the chip of a window.

    A pixel is valid if all bands that are read hold data there. A band holds no data if its value is a nodata value or
    NaN, if the magnitude of the value is NO_DATA_FROM or more, or if an alpha band or a mask file hides the pixel.

    If the bands have several dates, a pixel is valid if one of the dates holds data in all its bands. The bands of the
    other dates hold their fill values there.

    Args:
        dataset: An open raster; its handle must belong to this thread.
        window: Window inside the raster.
        reading: Bands to read, and the treatment of invalid pixels.

    Raises:
        DamageError: The window's pixels cannot be read, for example in a truncated file.
        UndeclaredNodataError: Valid pixels hold a constant that means "no data".
        RasterError: The raster holds complex numbers.
    """
    dates = reading.dates or band_dates(dataset, reading.bands)
    return _read_dates(dataset, window, reading, dates) if dates else _read_bands(dataset, window, reading)


def band_dates(dataset: DatasetReader, bands: Sequence[int]) -> tuple[int, ...]:
    """Date of each band from its name in the raster, as `dates_of` returns them.

    Args:
        dataset: An open raster.
        bands: 1-based band indexes.
    """
    names = _storage(dataset).names
    return dates_of([names[band - 1] for band in bands])


def measured(chip: Chip, dates: Sequence[int]) -> FloatImage:
    """The (C, H, W) image of a chip with NaN in the bands of missing dates, for statistics.

    Args:
        chip: The chip.
        dates: Date of each band, as `dates_of` returns them.
    """
    if chip.missing is None:
        return chip.image
    return np.where(missing_bands(chip.missing, dates), np.float32(np.nan), chip.image)


def _read_dates(dataset: DatasetReader, window: Window, reading: Reading, dates: Sequence[int]) -> Chip:
    """Read each date as a chip, and join the chips."""
    shape = window.height, window.width
    image = np.empty((len(dates), *shape), np.float32)
    valid, needed, missing = np.zeros(shape, bool), np.ones(shape, bool), np.zeros(shape, np.uint16)
    found = []
    for date in sorted(set(dates)):
        places = [place for place, other in enumerate(dates) if other == date]
        bands, fill = [reading.bands[place] for place in places], [reading.fill[place] for place in places]
        chip = _read_bands(dataset, window, Reading(bands, fill, reading.nodata))
        found.append(chip)
        image[places] = chip.image
        if date == UNDATED:
            needed = chip.valid
        else:
            valid |= chip.valid
            missing |= np.where(chip.valid, np.uint16(0), np.uint16(1 << date))
    valid &= needed
    if not valid.all():
        image[:, ~valid] = np.asarray(reading.fill, np.float32)[:, None]
        missing[~valid] = 0
    nodata_found, void_found = any(chip.nodata_found for chip in found), any(chip.void_found for chip in found)
    return Chip(image, valid, nodata_found, void_found, missing if missing.any() else None)


def _read_bands(dataset: DatasetReader, window: Window, reading: Reading) -> Chip:
    """Read bands that must all hold data."""
    bands, storage = reading.bands, _storage(dataset)
    stored = {storage.dtypes[band - 1] for band in bands}
    # GDAL converts to float32 at no cost while it copies pixels from its cache. Types that float32 rounds are read
    # unconverted, since nodata must be compared before rounding.
    image = np.empty((len(bands), window.height, window.width), np.float32)
    try:
        pixels = dataset.read(list(bands), window=window, out=image if stored <= _EXACT_IN_FLOAT32 else None)
        valid = _unmasked(dataset, window, bands)
    except RasterioError as error:
        raise unreadable(dataset, window, error) from error
    nodata_found = _hide_nodata(valid, pixels, [storage.nodata[band - 1] for band in bands], reading.nodata)
    if pixels is not image:
        with np.errstate(over="ignore"):  # Values beyond the range of float32 become infinite and invalid.
            image[...] = pixels
    found, void_found = None, False
    if any(dtype.startswith("float") for dtype in stored):
        found = extremes(image, stored)
        void_found = _hide_endless(image, valid, found)
    if not valid.all():
        found = None
        for band, value in zip(image, reading.fill, strict=True):
            band[~valid] = value
    # Invalid pixels are filled by now, so a declared nodata value is not among the extremes. The exact check takes
    # longer than reading, so it runs only for suspicious extremes.
    if is_suspicious(found or extremes(image, stored)):
        require_plausible(shown_name(Path(dataset.name)), image, valid)
    return Chip(image, valid, nodata_found, void_found)


def read_stored(
    dataset: DatasetReader,
    window: Window,
    bands: Sequence[int],
    nodata: float | None = None,
    out: npt.NDArray[np.generic] | None = None,
) -> tuple[npt.NDArray[np.generic], BoolMask]:
    """Values of several bands as stored, (C, H, W), and their common validity, (H, W).

    Validity and errors are those of `read_chip`; invalid pixels hold 0.

    Args:
        dataset: An open raster, whose bands have one data type; its handle must belong to this thread.
        window: Window inside the raster.
        bands: 1-based band indexes.
        nodata: Additional nodata value.
        out: (C, H, W) array of the bands' type that receives the values and is returned; None for a new one.
    """
    storage = _storage(dataset)
    try:
        pixels = dataset.read(list(bands), window=window, out=out)
        valid = _unmasked(dataset, window, bands)
    except RasterioError as error:
        raise unreadable(dataset, window, error) from error
    _hide_nodata(valid, pixels, [storage.nodata[band - 1] for band in bands], nodata)
    if pixels.dtype.kind == "f":
        valid &= (np.abs(pixels) < NO_DATA_FROM).all(axis=0)
    if not valid.all():
        if pixels.dtype.kind == "f":  # The product of NaN and 0 is NaN.
            np.copyto(pixels, 0, where=~valid)
        else:  # A product takes a tenth of the time of an assignment under a mask.
            np.multiply(pixels, valid, out=pixels)
    with np.errstate(over="ignore"):
        # Rounding to float32 does no harm: the extremes are only compared with known voids.
        if is_suspicious(extremes(pixels, {storage.dtypes[bands[0] - 1]})):
            require_plausible(shown_name(Path(dataset.name)), pixels.astype(np.float32), valid)
    return pixels, valid


def _hide_endless(image: FloatImage, valid: BoolMask, found: Extremes) -> bool:
    """Mark pixels invalid where a band is not finite or its magnitude reaches NO_DATA_FROM.

    Returns True if a finite value of a valid pixel reaches NO_DATA_FROM.
    """
    if found[0].min() > -NO_DATA_FROM and found[1].max() < NO_DATA_FROM:  # The comparison is False for NaN.
        return False
    finite = (np.abs(image) < NO_DATA_FROM).all(axis=0)
    void_found = bool((valid & ~finite & np.isfinite(image).all(axis=0)).any())
    valid &= finite
    return void_found


def _hide_nodata(
    valid: BoolMask, pixels: npt.NDArray[np.generic], declared: Sequence[float | None], additional: float | None
) -> bool:
    """Mark pixels invalid where a band holds its declared nodata value or the additional nodata value.

    Returns True if a pixel holds the additional value.
    """
    found = False
    for values, missing in zip(pixels, declared, strict=True):
        if missing is not None:
            valid &= ~is_missing(values, missing)
        if additional is not None:
            hidden = is_missing(values, additional)
            found = found or bool(hidden.any())
            valid &= ~hidden
    return found


def read_band(
    dataset: DatasetReader,
    band: int,
    window: Window | None = None,
    shape: tuple[int, int] | None = None,
    resampling: Resampling = Resampling.nearest,
) -> tuple[npt.NDArray[np.generic], BoolMask]:
    """Values of one band as stored, (H, W), and their validity: not nodata, not NaN, not masked.

    Args:
        dataset: An open raster.
        band: Band index, from 1.
        window: Pixels to read; the whole raster by default.
        shape: Height and width of the result; smaller than the window for a cheap overview.
        resampling: Resampling method of the values; validity uses the nearest pixel.

    Raises:
        DamageError: The file is damaged or truncated.
        RasterError: The raster holds complex numbers.
    """
    storage = _storage(dataset)
    window = window or whole(dataset)
    try:
        values = dataset.read(band, window=window, out_shape=shape, resampling=resampling)
        valid = _unmasked(dataset, window, [band], shape)
    except RasterioError as error:
        raise unreadable(dataset, window, error) from error
    missing = storage.nodata[band - 1]
    if missing is not None:
        valid &= ~is_missing(values, missing)
    if values.dtype.kind == "f":
        valid &= np.abs(values) < NO_DATA_FROM
    return values, valid


def _unmasked(
    dataset: DatasetReader, window: Window, bands: Sequence[int], shape: tuple[int, int] | None = None
) -> BoolMask:
    """True where neither a mask file nor an alpha band hides the pixel; the caller checks the nodata value.

    GDAL's own mask uses only one of nodata value, mask file and alpha band. An alpha band in `bands` is data, not a
    mask.
    """
    height, width = shape or (window.height, window.width)
    unmasked = np.ones((height, width), dtype=bool)
    storage = _storage(dataset)
    if storage.masked[bands[0] - 1]:
        masks = dataset.read_masks(list(bands), window=window, out_shape=(len(bands), height, width))
        unmasked &= (masks > 0).all(axis=0)
    alpha = storage.alpha
    if alpha and not set(alpha) & set(bands):
        opacity = dataset.read(list(alpha), window=window, out_shape=(len(alpha), height, width))
        unmasked &= (opacity > 0).all(axis=0)
    return unmasked


def unreadable(dataset: DatasetReader, window: Window, error: Exception) -> RasterError:
    """Error for pixels that cannot be read: a damaged file, a failed connection or a lack of memory."""
    reason = " ".join(str(error.__cause__ or error).split())[:200]
    if isinstance(error.__cause__, CPLE_OutOfMemoryError):
        return RasterError(
            f"{dataset.name}: out of memory while reading ({reason}); free memory or use smaller windows"
        )
    name = shown_name(Path(dataset.name))
    advice = "the file is damaged or truncated; download or write it again"
    if is_remote(dataset.name):
        advice = "the server or the connection failed; repeat the command later"
    return DamageError(
        f"{name}: pixels at row {window.row_off}, column {window.col_off} cannot be read ({reason}); {advice}"
    )
