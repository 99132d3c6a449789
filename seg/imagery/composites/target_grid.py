"""Common grid of several scenes, and the place of each scene on a grid."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rasterio import Affine
from rasterio.warp import transform as to_crs
from rasterio.windows import Window

from seg.errors import RasterError
from seg.raster.grid import Grid
from seg.raster.ground.crs import crs_name, has_place, same_crs
from seg.raster.remote import shown_name

SAME = 1e-3
"""Largest distance in pixels between grids that count as equal. Equal grids may differ, since programs round transforms
differently."""

LEAST_COVERED = 0.01
"""Smallest share of a common grid that the outlines of the scenes must cover."""

_ALONG = 21
"""Number of points along each side of an outline. Corners are not enough, since the sides of a raster are curved in
another CRS."""

_MARGIN = 2
"""Margin in pixels around an outline in another CRS. The sides are also curved between the points, so the scene may
reach beyond the lines that join the points."""


@dataclass(frozen=True)
class Placed:
    """A scene and its place on a target grid.

    Attributes:
        grid: The scene's own grid.
        window: Pixels of the target that the scene may cover; empty if the scene lies outside.
        offset: Target row and column of the scene's first pixel; None if the scene must be resampled.
        scale: Number of the scene's pixels along a side of a target pixel.
    """

    grid: Grid
    window: Window
    offset: tuple[int, int] | None
    scale: float = 1.0


def common_grid(grids: Sequence[Grid], output: Path) -> Grid:
    """The grid of the first scene, extended or cut to the ground that all scenes cover together.

    Args:
        grids: The scenes.
        output: Path of the new grid.

    Raises:
        RasterError: A scene cannot be placed on the grid of the first one.
    """
    first = grids[0]
    for grid in grids:
        _require_comparable(grid, first)
    sides = np.array([_reach(grid, first) for grid in grids])
    (top, left), (bottom, right) = sides[:, :2].min(axis=0), sides[:, 2:].max(axis=0)
    _require_near(grids, sides, int(bottom - top) * int(right - left))
    place = first.transform @ Affine.translation(int(left), int(top))
    return replace(first, path=output, height=int(bottom - top), width=int(right - left), transform=place)


def _require_near(grids: Sequence[Grid], sides: npt.NDArray[np.int64], pixels: int) -> None:
    """Check that the scenes cover enough of their common grid; a wrong georeference makes this grid far too large."""
    sizes = (sides[:, 2:] - sides[:, :2]).astype(float)
    if sizes.prod(axis=1).sum() >= LEAST_COVERED * pixels:
        return
    centres = sides[:, :2] + sizes / 2
    far = int(np.linalg.norm(centres - np.median(centres, axis=0), axis=1).argmax())
    raise RasterError(
        f"{shown_name(grids[far].path)}: lies so far from the other scenes that all scenes together cover less "
        f"than {LEAST_COVERED:.0%} of a common grid of {pixels:,} pixels; leave it out, correct its georeference, or "
        "name a grid with --grid"
    )


def place_on(grid: Grid, target: Grid) -> Placed:
    """Place a scene on a target grid.

    Raises:
        RasterError: The scene or the target has no CRS, and their pixels differ; or the scene cannot be transformed.
    """
    _require_comparable(grid, target)
    offset = _offset(grid, target)
    if offset is None and not has_place(target.crs):
        raise RasterError(
            f"{shown_name(grid.path)}: has no CRS, and its pixels differ from those of {shown_name(target.path)}; "
            "declare the CRS of both, for example with gdal_edit.py -a_srs"
        )
    margin = 0 if offset else _MARGIN
    top, left, bottom, right = _reach(grid, target, margin)
    rows, columns = (max(top, 0), min(bottom, target.height)), (max(left, 0), min(right, target.width))
    size = max(columns[1] - columns[0], 0), max(rows[1] - rows[0], 0)
    window = Window(columns[0], rows[0], *(size if all(size) else (0, 0)))
    scale = max(grid.width / max(right - left - 2 * margin, 1), grid.height / max(bottom - top - 2 * margin, 1))
    return Placed(grid, window, offset, 1.0 if offset else scale)


def outline(window: Window, transform: Affine) -> npt.NDArray[np.float64]:
    """Points along the sides of a window, (2, N) x and y in the CRS of the transform."""
    steps = np.linspace(0, 1, _ALONG)
    zero, one = np.zeros(_ALONG), np.ones(_ALONG)
    columns = window.col_off + window.width * np.concatenate([steps, steps, zero, one])
    rows = window.row_off + window.height * np.concatenate([zero, one, steps, steps])
    return np.array(transform @ (columns, rows))


def reach(points: npt.NDArray[np.float64], source: Grid, target: Grid) -> tuple[float, float, float, float]:
    """Bounds of points on a target grid, in rows and columns: top, left, bottom, right.

    Args:
        points: (2, N) x and y in the CRS of the source.
        source: Grid with the CRS of the points.
        target: Grid whose pixels are counted.

    Raises:
        RasterError: The points have no place in the CRS of the target.
    """
    x, y = points
    if not _same_place(source, target):
        x, y = (np.asarray(axis) for axis in to_crs(source.crs, target.crs, x, y))
    columns, rows = ~target.transform @ (x, y)
    found = float(rows.min()), float(columns.min()), float(rows.max()), float(columns.max())
    if not all(map(math.isfinite, found)):
        raise RasterError(
            f"{shown_name(source.path)}: parts of it have no place in {crs_name(target.crs)}, the CRS of "
            f"{shown_name(target.path)}; name a grid in another CRS with --grid"
        )
    return found


def _reach(grid: Grid, target: Grid, margin: int = 0) -> tuple[int, int, int, int]:
    """Top, left, bottom and right of a scene in whole pixels of a target grid; they may lie outside the target."""
    top, left, bottom, right = reach(outline(Window(0, 0, grid.width, grid.height), grid.transform), grid, target)
    first = math.floor(top + SAME) - margin, math.floor(left + SAME) - margin
    return *first, math.ceil(bottom - SAME) + margin, math.ceil(right - SAME) + margin


def _offset(grid: Grid, target: Grid) -> tuple[int, int] | None:
    """Row and column of a scene's first pixel on a target grid; None unless both have the same pixels."""
    if not _same_place(grid, target):
        return None
    corners = list(_corners(grid, target))
    (left, top), *_ = corners
    column, row = round(left), round(top)
    wanted = [(column + x, row + y) for x, y in _sizes(grid)]
    apart = max(math.dist(corner, place) for corner, place in zip(corners, wanted, strict=True))
    return (row, column) if apart <= SAME else None


def _corners(grid: Grid, target: Grid) -> Iterator[tuple[float, float]]:
    for corner in _sizes(grid):
        yield ~target.transform @ (grid.transform @ corner)


def _sizes(grid: Grid) -> list[tuple[int, int]]:
    return [(0, 0), (grid.width, 0), (0, grid.height), (grid.width, grid.height)]


def _same_place(grid: Grid, target: Grid) -> bool:
    if not (has_place(grid.crs) or has_place(target.crs)):
        return True
    return same_crs(grid.crs, target.crs)


def _require_comparable(grid: Grid, target: Grid) -> None:
    for one, other in ((grid, target), (target, grid)):
        if not one.rectified:
            raise RasterError(
                f"{shown_name(one.path)}: is georeferenced only by ground control points or a camera model; rectify it "
                "first, for example with gdalwarp"
            )
        if has_place(one.crs) and not has_place(other.crs):
            raise RasterError(
                f"{shown_name(other.path)}: has no CRS, but {shown_name(one.path)} is in {crs_name(one.crs)}; declare "
                "the CRS, for example with gdal_edit.py -a_srs"
            )
