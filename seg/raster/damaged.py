"""Read rasters that have damaged or missing tiles; pixels of these tiles become invalid."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from rasterio.io import DatasetReader
from rasterio.windows import Window

from seg.errors import DamageError
from seg.raster.chips import BoolMask, Chip, Reading, band_dates, read_chip
from seg.raster.grid import open_raster, require_sources
from seg.raster.remote import one_thread


@contextmanager
def open_damaged(path: Path) -> Iterator[DatasetReader]:
    """Open a raster for `read_damaged`.

    Raises:
        RasterError: The file is missing, or not a raster that GDAL can read.
    """
    with ExitStack() as opened:
        with one_thread():
            dataset = opened.enter_context(open_raster(path))
        yield dataset


def read_damaged(dataset: DatasetReader, window: Window, reading: Reading) -> tuple[Chip, BoolMask]:
    """Read a window; return its chip and an (H, W) mask of unreadable pixels. These pixels are invalid in the chip.

    If the whole window cannot be read, its tiles are read one by one. A tile that is damaged in one band is unreadable
    in all bands.

    Args:
        dataset: A raster opened by `open_damaged`; its handle must belong to this thread.
        window: Window inside the raster.
        reading: Bands to read, and the treatment of invalid pixels.

    Raises:
        RasterError: A source file of a mosaic cannot be opened, or the raster holds complex numbers.
    """
    # GDAL opens the source files of a mosaic only when it reads their pixels, so `one_thread` must hold here too.
    with one_thread():
        try:
            return read_chip(dataset, window, reading), np.zeros((window.height, window.width), dtype=bool)
        except DamageError:
            require_sources(dataset, sys.maxsize)
        return _read_by_tile(dataset, window, reading)


def _read_by_tile(dataset: DatasetReader, window: Window, reading: Reading) -> tuple[Chip, BoolMask]:
    shape = int(window.height), int(window.width)
    lost = np.zeros(shape, dtype=bool)
    image = np.empty((len(reading.bands), *shape), dtype=np.float32)
    image[:] = np.asarray(reading.fill, dtype=np.float32)[:, None, None]
    valid, nodata_found, void_found = np.zeros(shape, dtype=bool), False, False
    for part in _tiles(dataset, reading.bands[0], window):
        inner = Window(part.col_off - window.col_off, part.row_off - window.row_off, part.width, part.height).toslices()
        try:
            chip = read_chip(dataset, part, reading)
        except DamageError:
            lost[inner] = True
        else:
            image[:, *inner], valid[inner] = chip.image, chip.valid
            nodata_found, void_found = nodata_found or chip.nodata_found, void_found or chip.void_found
    return Chip(image, valid, nodata_found, void_found), lost


def _tiles(dataset: DatasetReader, band: int, window: Window) -> Iterator[Window]:
    """Split a window at the tile boundaries of the file."""
    height, width = dataset.block_shapes[band - 1]
    for top, bottom in _spans(window.row_off, window.row_off + window.height, height):
        for left, right in _spans(window.col_off, window.col_off + window.width, width):
            yield Window(left, top, right - left, bottom - top)


def _spans(start: int, stop: int, side: int) -> Iterator[tuple[int, int]]:
    """Split a pixel range at multiples of the tile's side."""
    for corner in range(start // side * side, stop, side):
        yield max(corner, start), min(corner + side, stop)


def is_unwritten(dataset: DatasetReader, window: Window, reading: Reading) -> bool:
    """True if a sparse GeoTIFF stores no tile of a window, so that no pixel is valid; False for other formats.

    The test is fast, since GDAL only reads the tile offsets.

    Args:
        dataset: An open raster; its handle must belong to this thread.
        window: Window inside the raster.
        reading: Bands to read, and the treatment of invalid pixels.
    """
    # Without dates, a pixel is valid only if every band holds data, so one empty band makes all pixels invalid. With
    # dates, all bands must be empty.
    dated = dataset.driver == "GTiff" and (reading.dates or band_dates(dataset, reading.bands))
    return all(_is_unwritten(dataset, window, reading, band) for band in reading.bands[: None if dated else 1])


def _is_unwritten(dataset: DatasetReader, window: Window, reading: Reading, band: int) -> bool:
    # For a tile that was never written, GDAL returns the nodata value, or 0 if the file declares none.
    invalid = dataset.nodatavals[band - 1] is not None or reading.nodata == 0
    if dataset.driver != "GTiff" or not invalid:
        return False
    tile_height, tile_width = dataset.block_shapes[band - 1]
    rows = range(window.row_off // tile_height, (window.row_off + window.height - 1) // tile_height + 1)
    columns = range(window.col_off // tile_width, (window.col_off + window.width - 1) // tile_width + 1)
    return not any(
        dataset.get_tag_item(f"BLOCK_OFFSET_{column}_{row}", "TIFF", bidx=band) for row in rows for column in columns
    )
