"""Read around the damaged tiles of a raster: what cannot be read has no data, and all else is as it is."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import rasterio
from rasterio.errors import RasterioIOError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from seg.errors import DamageError, RasterError
from seg.raster.chips import (
    BoolMask,
    Chip,
    Reading,
    read_chip,
)
from seg.raster.grid import open_raster
from seg.raster.remote import one_thread


@contextmanager
def open_around_damage(path: Path) -> Iterator[DatasetReader]:
    """Open a raster whose damaged tiles are to be found.

    Raises:
        RasterError: As `open_raster` does.
    """
    with ExitStack() as opened:
        with one_thread():
            dataset = opened.enter_context(open_raster(path))
        yield dataset


def read_around_damage(dataset: DatasetReader, window: Window, reading: Reading) -> tuple[Chip, BoolMask]:
    """The chip of a window, and which of its pixels, (H, W), could not be read; these are invalid.

    Where the window cannot be read at once, each tile of the file is read by itself. So no more is lost than the tiles
    that are damaged in one of the bands.

    Args:
        dataset: A raster that `open_around_damage` opened; its handle must belong to this thread.
        window: Inside the raster.
        reading: Which bands, and what an invalid pixel is.

    Raises:
        RasterError: A part of a mosaic cannot be opened, or the pixels are complex numbers.
    """
    with one_thread():  # the parts of a mosaic are opened only when they are read
        try:
            return read_chip(dataset, window, reading), np.zeros((window.height, window.width), dtype=bool)
        except DamageError:
            _require_parts(dataset)
        return _read_by_tile(dataset, window, reading)


def _read_by_tile(dataset: DatasetReader, window: Window, reading: Reading) -> tuple[Chip, BoolMask]:
    shape = int(window.height), int(window.width)
    lost = np.zeros(shape, dtype=bool)
    image = np.empty((len(reading.bands), *shape), dtype=np.float32)
    image[:] = np.asarray(reading.fill, dtype=np.float32)[:, None, None]
    valid = np.zeros(shape, dtype=bool)
    for part in _tiles(dataset, reading.bands[0], window):
        inner = Window(part.col_off - window.col_off, part.row_off - window.row_off, part.width, part.height).toslices()
        try:
            chip = read_chip(dataset, part, reading)
        except DamageError:
            lost[inner] = True
        else:
            image[:, *inner], valid[inner] = chip.image, chip.valid
    return Chip(image, valid), lost


def _require_parts(dataset: DatasetReader) -> None:
    """Check that all files of a mosaic can be opened.

    GDAL reports one that cannot at the first reading alone, and reads it as 0 from then on, which would be taken for
    data.
    """
    for file in dataset.files[1:] if dataset.driver == "VRT" else []:
        try:
            rasterio.open(file).close()
        except RasterioIOError as error:
            raise RasterError(
                f"{dataset.name}: its part {file} cannot be opened ({' '.join(str(error).split())[:200]}); "
                "bring it back, or leave it out of the mosaic, where its place is then nodata"
            ) from error


def _tiles(dataset: DatasetReader, band: int, window: Window) -> Iterator[Window]:
    """The parts of a window that lie in one tile of the file each."""
    height, width = dataset.block_shapes[band - 1]
    for top, bottom in _spans(window.row_off, window.row_off + window.height, height):
        for left, right in _spans(window.col_off, window.col_off + window.width, width):
            yield Window(left, top, right - left, bottom - top)


def _spans(start: int, stop: int, side: int) -> Iterator[tuple[int, int]]:
    """Where a span of pixels is cut by tiles of one side."""
    for corner in range(start // side * side, stop, side):
        yield max(corner, start), min(corner + side, stop)


def holds_nothing(dataset: DatasetReader, window: Window, reading: Reading) -> bool:
    """Whether no pixel of a window is valid because the file holds no tile of it.

    Cheap: GDAL looks up where the tiles lie, and reads none. False where it cannot say, as in other formats.

    Args:
        dataset: An open raster; its handle must belong to this thread.
        window: Inside the raster.
        reading: Which bands, and what an invalid pixel is.
    """
    # A pixel is valid only where every band carries data, so one empty band is enough.
    band = reading.bands[0]
    # What was never written reads as the nodata value, or as 0 where the file declares none.
    invalid = dataset.nodatavals[band - 1] is not None or reading.nodata == 0
    if dataset.driver != "GTiff" or not invalid:
        return False
    tile_height, tile_width = dataset.block_shapes[band - 1]
    rows = range(window.row_off // tile_height, (window.row_off + window.height - 1) // tile_height + 1)
    columns = range(window.col_off // tile_width, (window.col_off + window.width - 1) // tile_width + 1)
    return not any(
        dataset.get_tag_item(f"BLOCK_OFFSET_{column}_{row}", "TIFF", bidx=band) for row in rows for column in columns
    )
