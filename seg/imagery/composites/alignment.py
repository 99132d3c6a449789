"""Read scenes on a target grid. A scene on the same pixels is read as stored; any other scene is resampled."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.enums import Resampling
from rasterio.io import DatasetReader
from rasterio.warp import reproject
from rasterio.windows import Window

from seg.errors import RasterError
from seg.imagery.composites.combining import Pixels
from seg.imagery.composites.target_grid import Placed, outline, reach
from seg.raster.chips import BoolMask, read_stored
from seg.raster.gdal_options import gdal_options
from seg.raster.grid import Grid, open_raster
from seg.raster.remote import one_thread, shown_name

WARPED_AT_ONCE = 256
"""Side in pixels of the squares of a target grid that are resampled separately. Their corners lie at multiples of the
side, so the result does not depend on the windows that are read."""

MOST_OPEN = 64
"""Largest number of scenes that a reader keeps open."""

_LARGEST_SOURCE = 1024
"""Side in pixels of the largest part of a scene that is resampled at once. This limits the memory if a scene has much
smaller pixels than the target."""

_BILINEAR_UP_TO = 1.5
"""If the pixels of the target are at most this many times as large as those of the scene, the four nearest pixels are
interpolated. Above this ratio, GDAL averages all pixels under a kernel that grows with the ratio."""

_AROUND = 3
"""Width in target pixels of the margin that is read around a resampled part; the kernel reaches two pixels."""

_EXACT_IN_FLOAT32 = ("int8", "uint8", "int16", "uint16", "float32")


@dataclass(frozen=True)
class AlignedScene:
    """A scene on a target grid.

    Attributes:
        placed: The scene's grid and its place on the target.
        target: The target grid.
        bands: 1-based indexes of the bands to read, in order.
        nodata: Additional value that means "no data", or None.
    """

    placed: Placed
    target: Grid
    bands: Sequence[int]
    nodata: float | None = None

    def reaches(self, window: Window) -> bool:
        """True if the scene may have pixels in a window of the target."""
        return _common(self.placed.window, window) is not None

    def read(self, dataset: DatasetReader, window: Window, values: Pixels, valid: BoolMask) -> None:
        """Read a window of the target into arrays that hold 0 and False.

        Scenes on other grids are interpolated between their valid pixels. A target pixel is valid if the scene's pixel
        at its centre is valid.

        Args:
            dataset: The open scene; its handle must belong to this thread.
            window: Window of the target.
            values: (C, H, W) array for the values, of the scene's type.
            valid: (H, W) array for the validity.

        Raises:
            RasterError: The pixels cannot be read.
        """
        inside = _common(self.placed.window, window)
        if inside is None:
            return
        with one_thread():
            stored = self.placed.offset is not None
            for part in [inside] if stored else _squares(inside, self._side):
                rows, columns = Window(
                    part.col_off - window.col_off, part.row_off - window.row_off, part.width, part.height
                ).toslices()
                found = values[:, rows, columns]
                present = self._stored(dataset, part, found) if stored else self._warped(dataset, part, found)
                valid[rows, columns] = present

    @property
    def _side(self) -> int:
        """Side of the squares that are resampled at once: a power of two."""
        side = WARPED_AT_ONCE
        while side > 16 and side * self.placed.scale > _LARGEST_SOURCE:
            side //= 2
        return side

    def _stored(self, dataset: DatasetReader, part: Window, values: Pixels) -> BoolMask:
        """Read a part into `values`, and return its validity."""
        row, column = self.placed.offset or (0, 0)
        source = Window(part.col_off - column, part.row_off - row, part.width, part.height)
        out = values if values.flags.c_contiguous else None
        found, present = read_stored(dataset, source, self.bands, self.nodata, out)
        if out is None:
            values[...] = found
        return present

    def _warped(self, dataset: DatasetReader, part: Window, values: Pixels) -> BoolMask:
        """Resample a part of a square into `values`, and return its validity.

        The whole square is resampled, so that the values of a pixel do not depend on the part.
        """
        square = _square_around(part, self._side)
        nothing = np.zeros((part.height, part.width), bool)
        source = self._source_of(square)
        if source is None:
            return nothing
        stored, present = read_stored(dataset, source, self.bands, self.nodata)
        if not present.any():
            return nothing
        numbers, valid = self._resampled(stored, present, source, square)
        inner = Window(part.col_off - square.col_off, part.row_off - square.row_off, part.width, part.height)
        rows, columns = inner.toslices()
        values[...] = _rounded(numbers[:, rows, columns], values.dtype)
        return np.asarray(valid[rows, columns])

    def _source_of(self, square: Window) -> Window | None:
        """Window of the scene's pixels under a square of the target, with a margin; None if there are none."""
        grid = self.placed.grid
        top, left, bottom, right = reach(outline(square, self.target.transform), self.target, grid)
        around = int(np.ceil(_AROUND * max(self.placed.scale, 1)))
        rows = max(int(top) - around, 0), min(int(bottom) + around + 1, grid.height)
        columns = max(int(left) - around, 0), min(int(right) + around + 1, grid.width)
        if rows[0] >= rows[1] or columns[0] >= columns[1]:
            return None
        return Window(columns[0], rows[0], columns[1] - columns[0], rows[1] - rows[0])

    def _resampled(
        self, stored: Pixels, present: BoolMask, source: Window, square: Window
    ) -> tuple[npt.NDArray[np.floating], BoolMask]:
        """Interpolated values of a square, and the validity of the scene's pixel at the centre of each pixel."""
        exact = stored.dtype.name in _EXACT_IN_FLOAT32
        numbers = stored.astype(np.float32 if exact else np.float64)
        numbers[:, ~present] = np.nan
        here, there = self.placed.grid.part(source), self.target.part(square)
        warped = np.full((len(numbers), square.height, square.width), np.nan, numbers.dtype)
        nearest = np.zeros((square.height, square.width), np.uint8)
        places = {
            "src_transform": here.transform,
            "src_crs": here.crs or there.crs,
            "dst_transform": there.transform,
            "dst_crs": there.crs or here.crs,
        }
        # By default, GDAL derives the kernel from the sizes of both windows. The result would then depend on the
        # windows, and would be slightly blurred even at equal pixel sizes.
        ratio = 1 / self.placed.scale if self.placed.scale > _BILINEAR_UP_TO else 1
        kernel = {"XSCALE": repr(ratio), "YSCALE": repr(ratio)}
        reproject(
            numbers, warped, src_nodata=np.nan, dst_nodata=np.nan, resampling=Resampling.bilinear, **places, **kernel
        )
        reproject(present.astype(np.uint8), nearest, resampling=Resampling.nearest, **places)
        return warped, (nearest == 1) & np.isfinite(warped).all(axis=0)


def _rounded(numbers: npt.NDArray[np.floating], dtype: np.dtype[Any]) -> Pixels:
    """Numbers in the type of a scene; integers are rounded, and NaN becomes 0."""
    filled: Pixels = np.nan_to_num(numbers, nan=0.0)
    if dtype.kind != "f":
        limits = np.iinfo(dtype)
        filled = np.rint(filled).clip(limits.min, limits.max)
    return filled.astype(dtype)


class SceneReader:
    """Reader of scenes for one thread; a scene is opened when a window of it is first read.

    Args:
        scenes: All scenes of the composite.
    """

    def __init__(self, scenes: Sequence[AlignedScene]) -> None:
        self.scenes = scenes
        self._options = ExitStack()
        self._opened: OrderedDict[int, tuple[DatasetReader, ExitStack]] = OrderedDict()

    def read(self, number: int, window: Window, values: Pixels, valid: BoolMask) -> None:
        """Read a window of the target from one scene.

        Args:
            number: Position of the scene.
            window: Window of the target; the scene must reach it.
            values: (C, H, W) array of zeros for the values.
            valid: (H, W) array of False for the validity.

        Raises:
            RasterError: The scene cannot be read.
        """
        self.scenes[number].read(self._open(number), window, values, valid)

    def close(self) -> None:
        """Close all scenes, in the thread that opened them."""
        while self._opened:
            self._opened.popitem()[1][1].close()
        self._options.close()

    def _open(self, number: int) -> DatasetReader:
        if not self._opened:
            # GDAL's options that another thread has set do not apply in this thread, so they are set again here.
            self._options.enter_context(gdal_options(cache=None))
        if number not in self._opened:
            while len(self._opened) >= MOST_OPEN:
                self._opened.popitem(last=False)[1][1].close()
            self._opened[number] = _opened(self.scenes[number].placed.grid)
        self._opened.move_to_end(number)
        return self._opened[number][0]


def _opened(grid: Grid) -> tuple[DatasetReader, ExitStack]:
    stack = ExitStack()
    dataset = stack.enter_context(open_raster(grid.path))
    if dataset.shape != (grid.height, grid.width):
        stack.close()
        raise RasterError(f"{shown_name(grid.path)}: was changed while it was read; repeat the command")
    return dataset, stack


def _common(one: Window, other: Window) -> Window | None:
    rows = max(one.row_off, other.row_off), min(one.row_off + one.height, other.row_off + other.height)
    columns = max(one.col_off, other.col_off), min(one.col_off + one.width, other.col_off + other.width)
    if rows[0] >= rows[1] or columns[0] >= columns[1]:
        return None
    return Window(columns[0], rows[0], columns[1] - columns[0], rows[1] - rows[0])


def _squares(window: Window, side: int) -> Iterator[Window]:
    """Parts of a window in squares whose corners lie at multiples of their side."""
    bottom, right = window.row_off + window.height, window.col_off + window.width
    for top in range(window.row_off // side * side, bottom, side):
        for left in range(window.col_off // side * side, right, side):
            part = _common(window, Window(left, top, side, side))
            if part is not None:
                yield part


def _square_around(part: Window, side: int) -> Window:
    return Window(part.col_off // side * side, part.row_off // side * side, side, side)
