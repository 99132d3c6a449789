"""Ground cells of neighbouring scenes, and guards between cells of different folds."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.windows import Window

from seg.errors import DatasetError
from seg.raster.grid import Grid
from seg.raster.ground.crs import crs_name, same_crs
from seg.raster.ground.distances import ground_pixel

_BLOCKS_A_FOLD = 6
"""`fitting_block_m` suggests a side that gives about this many blocks per fold. One block per fold would not be enough,
since some blocks have no labels, and guards remove others."""

_SAME_PIXEL = 1e-3
"""Largest deviation, as a share of a pixel, at which two grids still count as aligned. Programs round coordinates
differently."""


@dataclass(frozen=True)
class Cells:
    """Rectangles that tile the ground of neighbouring scenes, in rows and columns.

    The lines between cells are in pixel coordinates of the first scene. A pixel belongs to the cell that contains its
    centre.

    Attributes:
        rows: (R + 1,) lines above, between and below the R rows of cells, ascending.
        columns: (C + 1,) lines to the left of, between and to the right of the C columns of cells, ascending.
        guard: Number of pixel rows, and of pixel columns, that separate cells of different folds.
        frames: Affine from each scene's pixel coordinates to the first scene's pixel coordinates.
        sizes: Height and width of each scene.
    """

    rows: NDArray[np.float64]
    columns: NDArray[np.float64]
    guard: tuple[int, int]
    frames: tuple[Affine, ...]
    sizes: tuple[tuple[int, int], ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of rows and columns of cells."""
        return len(self.rows) - 1, len(self.columns) - 1

    def windows(self, trims: NDArray[np.bool_] | None = None) -> Iterator[tuple[int, tuple[int, int], Window]]:
        """Scene index, cell (row and column) and window of each part of a scene that lies in a cell.

        Args:
            trims: (2, R, C) bool: at index 0, True if a guard replaces the first pixel rows of a cell; at index 1, the
                same for its first pixel columns. None for no guard.
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
    """Cut neighbouring scenes into square cells.

    The last row and the last column take the remainder: they are 0.5 to 1.5 times as wide as a cell.

    Args:
        grids: Grids of one or more scenes.
        block_m: Side of a cell in metres.
        guard_m: Guard in metres, rounded up to whole pixels.

    Raises:
        DatasetError: A scene has no usable georeference, or differs from its neighbour in CRS or direction; or the
            guard takes half of a block or more.
    """
    first = grids[0]
    pixel = ground_pixel(first)
    if pixel is None:
        raise DatasetError(
            f"{first.path}: CRS is {crs_name(first.crs)}, so the pixel size in metres is unknown; "
            "georeference the scene, or split by scene"
        )
    frames = tuple(_frame(grid, first) for grid in grids)
    # A pixel whose centre lies in a cell extends up to half a pixel beyond the cell.
    overhang = 0 if all(_aligned(frame) for frame in frames) else max(max(abs(f.a), abs(f.e)) for f in frames)
    guard = [math.ceil(round(guard_m / side, 6)) + math.ceil(overhang) for side in pixel]
    block = [round(block_m / side) for side in pixel]
    if any(side < 2 * gap + 2 for side, gap in zip(block, guard, strict=True)):
        raise DatasetError(
            f"{first.path}: has pixels of {min(pixel):g} m, so blocks of {block_m:g} m are {min(block)} pixels wide "
            f"and the guard of {guard_m:g} m is {max(guard)} wide; wanted blocks of {2 * max(guard) + 2} pixels or more"
        )
    ends = zip(frames, grids, strict=True)
    corners = np.array([frame @ corner for frame, g in ends for corner in ((0, 0), (g.width, g.height))])
    columns, rows = (_lines(along.min(), along.max(), side) for along, side in zip(corners.T, block[::-1], strict=True))
    return Cells(rows, columns, (guard[0], guard[1]), frames, tuple((grid.height, grid.width) for grid in grids))


def fitting_block_m(grids: Sequence[Grid], folds: int, guard_m: float) -> float | None:
    """Suggested side of blocks in metres; None if the guard is too wide or a scene has no metric size.

    Args:
        grids: Grids of the scenes.
        folds: Number of folds.
        guard_m: Guard in metres.
    """
    pixels = [ground_pixel(grid) for grid in grids]
    sides = [max(pixel) for pixel in pixels if pixel is not None]
    if len(sides) < len(grids):
        return None
    area = sum(grid.height * grid.width * side**2 for grid, side in zip(grids, sides, strict=True))
    block = math.sqrt(area / (_BLOCKS_A_FOLD * folds))
    rounded = math.floor(block / (step := 10.0 ** (math.floor(math.log10(block)) - 1))) * step
    least = max(2 * math.ceil(guard_m / side + 1) * side + 2 * side for side in sides)
    return rounded if rounded >= least else None


def trims_between(folds: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Guards between folds, as the argument `trims` of `Cells.windows`.

    Cells of different folds that touch only at a corner get a guard too.

    Args:
        folds: (R, C) fold of each cell; -1 for no fold.
    """
    rows, columns = np.zeros((2, *folds.shape), dtype=bool)
    rows[1:] = _differ(folds[:-1], folds[1:])
    columns[:, 1:] = _differ(folds[:, :-1], folds[:, 1:])
    # If a cell and the cell to its lower right have different folds, trim the columns of the lower cell, unless its
    # rows are trimmed already.
    columns[1:, 1:] |= _differ(folds[:-1, :-1], folds[1:, 1:]) & ~rows[1:, 1:]
    # If a cell and the cell to its lower left have different folds, trim the rows of the lower cell, unless the columns
    # of the upper cell are trimmed already.
    rows[1:, :-1] |= _differ(folds[:-1, 1:], folds[1:, :-1]) & ~columns[:-1, 1:]
    return np.stack([rows, columns])


def _differ(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.bool_]:
    differ: NDArray[np.bool_] = (one >= 0) & (other >= 0) & (one != other)
    return differ


def _lines(start: float, stop: float, side: int) -> NDArray[np.float64]:
    parts = max(1, math.floor((stop - start) / side + 0.5))
    return np.append(start + side * np.arange(parts), stop)


def _touched(lines: NDArray[np.float64], axis: tuple[float, float, int]) -> list[int]:
    """Indexes of the intervals between lines that contain the centre of a pixel."""
    spans = [_inside(start, stop, axis) for start, stop in pairwise(lines)]
    return [part for part, (first, after) in enumerate(spans) if after > first]


def _inside(start: float, stop: float, axis: tuple[float, float, int]) -> tuple[int, int]:
    """Range of the pixels whose centres lie between two lines, along an axis (step, offset, length)."""
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
            f"{grid.path}: is near {first.path}, but in another CRS or direction ({crs_name(grid.crs)}, "
            f"{crs_name(first.crs)}), so common blocks are impossible; warp one to the other's grid, or split by scene"
        )
    return frame


def _aligned(frame: Affine) -> bool:
    steps = abs(abs(frame.a) - 1) + abs(abs(frame.e) - 1)
    offsets = max(abs(offset - round(offset)) for offset in (frame.c, frame.f))
    return bool(steps < 1e-6 and offsets < _SAME_PIXEL)
