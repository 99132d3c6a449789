"""Cut the ground that scenes share into cells, and leave a guard between cells of different folds."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.windows import Window

from seg.errors import DatasetError
from seg.raster.crs import crs_name, same_crs
from seg.raster.grid import Grid
from seg.raster.ground.distances import ground_pixel

_SAME_PIXEL = 1e-3
"""Parts of a pixel by which grids may be apart and still count as one: writers round differently."""


@dataclass(frozen=True)
class Cells:
    """Rectangles that tile the ground of scenes which lie near each other.

    Their lines are given in pixels of the first scene, so they are exact there, and a pixel belongs to the cell that
    its centre is in.

    Attributes:
        rows: Row lines, ascending; one more than there are rows of cells.
        columns: Column lines alike.
        guard: Rows and columns between cells of different folds.
        frames: From pixels of each scene to pixels of the first.
        sizes: Height and width of each scene.
    """

    rows: NDArray[np.float64]
    columns: NDArray[np.float64]
    guard: tuple[int, int]
    frames: tuple[Affine, ...]
    sizes: tuple[tuple[int, int], ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of cells."""
        return len(self.rows) - 1, len(self.columns) - 1

    def windows(self, trims: NDArray[np.bool_] | None = None) -> Iterator[tuple[int, tuple[int, int], Window]]:
        """Scene, cell and the window of that scene in that cell, wherever it holds a pixel.

        Args:
            trims: (2, R, C) cells that give up their first rows, and their first columns, to a guard; none by default.
        """
        for scene, (frame, (height, width)) in enumerate(zip(self.frames, self.sizes, strict=True)):
            down, across = (frame.e, frame.f, height), (frame.a, frame.c, width)
            for row, column in product(_touched(self.rows, down), _touched(self.columns, across)):
                rows, columns = (0, 0) if trims is None else trims[:, row, column] * self.guard
                top, bottom = _inside(self.rows[row] + rows, self.rows[row + 1], down)
                left, right = _inside(self.columns[column] + columns, self.columns[column + 1], across)
                if bottom > top and right > left:
                    yield scene, (row, column), Window(left, top, right - left, bottom - top)


def cut_cells(grids: Sequence[Grid], block_m: float, guard_m: float) -> Cells:
    """Square cells over scenes that lie near each other; the last of a row or column is 0.5 to 1.5 times as long.

    Args:
        grids: The scenes', one or more.
        block_m: Side of a cell in metres.
        guard_m: Guard in metres; rounded up to whole pixels.

    Raises:
        DatasetError: A scene's place is unknown, its grid has another CRS or direction than that of a scene near it,
            or the guard takes half of a block or more.
    """
    first = grids[0]
    pixel = ground_pixel(first)
    if pixel is None:
        raise DatasetError(
            f"{first.path}: CRS is {crs_name(first.crs)}, so the size of its pixels in metres is unknown; "
            "georeference it, or split by scene"
        )
    frames = tuple(_frame(grid, first) for grid in grids)
    # A pixel whose centre is inside reaches half of itself outside.
    over = 0 if all(_aligned(frame) for frame in frames) else max(max(abs(f.a), abs(f.e)) for f in frames)
    guard = [math.ceil(round(guard_m / side, 6)) + math.ceil(over) for side in pixel]
    block = [round(block_m / side) for side in pixel]
    if any(side < 2 * gap + 2 for side, gap in zip(block, guard, strict=True)):
        raise DatasetError(
            f"{first.path}: has pixels of {min(pixel):g} m, so blocks of {block_m:g} m are {min(block)} pixels and the "
            f"guard of {guard_m:g} m takes {max(guard)}; wanted blocks of {2 * max(guard) + 2} pixels or more"
        )
    ends = zip(frames, grids, strict=True)
    corners = np.array([frame @ corner for frame, g in ends for corner in ((0, 0), (g.width, g.height))])
    columns, rows = (_lines(along.min(), along.max(), side) for along, side in zip(corners.T, block[::-1], strict=True))
    return Cells(rows, columns, (guard[0], guard[1]), frames, tuple((grid.height, grid.width) for grid in grids))


def trims_between(folds: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(2, R, C): the cells that give up their first rows, and their first columns, so that folds are a guard apart.

    Cells that touch at a corner alone are kept apart too.

    Args:
        folds: (R, C) fold of each cell; -1 where it has none.
    """
    rows, columns = np.zeros((2, *folds.shape), dtype=bool)
    rows[1:] = _differ(folds[:-1], folds[1:])
    columns[:, 1:] = _differ(folds[:, :-1], folds[:, 1:])
    # Down to the right: the lower cell gives up columns, unless it is off already.
    columns[1:, 1:] |= _differ(folds[:-1, :-1], folds[1:, 1:]) & ~rows[1:, 1:]
    # Down to the left: a gap is there if the lower cell gave up rows, or the upper one columns.
    rows[1:, :-1] |= _differ(folds[:-1, 1:], folds[1:, :-1]) & ~columns[:-1, 1:]
    return np.stack([rows, columns])


def _differ(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.bool_]:
    differ: NDArray[np.bool_] = (one >= 0) & (other >= 0) & (one != other)
    return differ


def _lines(start: float, stop: float, side: int) -> NDArray[np.float64]:
    parts = max(1, math.floor((stop - start) / side + 0.5))
    return np.append(start + side * np.arange(parts), stop)


def _touched(lines: NDArray[np.float64], axis: tuple[float, float, int]) -> list[int]:
    """The parts between lines that hold the centre of a pixel."""
    spans = [_inside(start, stop, axis) for start, stop in pairwise(lines)]
    return [part for part, (first, after) in enumerate(spans) if after > first]


def _inside(start: float, stop: float, axis: tuple[float, float, int]) -> tuple[int, int]:
    """First pixel, and first one after it, whose centres lie between two lines, along an axis: step, offset, length."""
    step, offset, length = axis
    ends = [(line - offset) / step - 0.5 for line in (start, stop)]
    first, after = (math.ceil(end) for end in ends) if step > 0 else (math.floor(end) + 1 for end in reversed(ends))
    return max(first, 0), min(after, length)


def _frame(grid: Grid, first: Grid) -> Affine:
    if grid is first:
        return Affine.identity()
    frame = ~first.transform @ grid.transform
    reach = abs(frame.b) * grid.height + abs(frame.d) * grid.width
    if not same_crs(grid.crs, first.crs) or reach > _SAME_PIXEL * max(abs(frame.a), abs(frame.e)):
        raise DatasetError(
            f"{grid.path}: lies near {first.path}, but in another CRS or direction ({crs_name(grid.crs)}, "
            f"{crs_name(first.crs)}), so no common blocks fit both; warp one to the other's grid, or split by scene"
        )
    return frame


def _aligned(frame: Affine) -> bool:
    steps = abs(abs(frame.a) - 1) + abs(abs(frame.e) - 1)
    offsets = max(abs(offset - round(offset)) for offset in (frame.c, frame.f))
    return bool(steps < 1e-6 and offsets < _SAME_PIXEL)
