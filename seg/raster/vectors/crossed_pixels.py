"""Pixels that polygon edges pass through, computed in integers so that rounding does not depend on the window."""

import numpy as np
import numpy.typing as npt
import shapely
from rasterio.windows import Window

from seg.raster.chips import BoolMask, Polygons

STEPS = 256
"""Number of lattice steps per pixel. Vertices are rounded to the lattice; with pixels of 10 m, a step is 4 cm. The
number is a power of two, so that floats represent the points of the lattice exactly."""

Integers = npt.NDArray[np.int64]


def on_lattice(xy: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Round coordinates to the lattice.

    Args:
        xy: (N, 2) coordinates in pixels.
    """
    rounded: npt.NDArray[np.float64] = np.rint(xy * STEPS) / STEPS
    return rounded


def crossed_pixels(polygons: Polygons, window: Window) -> BoolMask:
    """(H, W) True for each pixel of a window that a polygon edge crosses.

    An edge along the border between two pixels crosses neither pixel.

    Args:
        polygons: Polygons in pixels of the raster, with vertices on the lattice.
        window: Part of the raster.
    """
    height, width = int(window.height), int(window.width)
    starts, ends = _segments(polygons, window)
    segment, row = _rows_crossed(starts[:, 1], ends[:, 1], height)
    first, last = _columns_crossed(starts[segment], ends[segment], row)
    inside = (first < width) & (last >= 0) & (first <= last)
    row, first, last = row[inside], np.maximum(first[inside], 0), np.minimum(last[inside], width - 1)
    steps = np.zeros((height, width + 1), dtype=np.int32)
    np.add.at(steps, (row, first), 1)
    np.add.at(steps, (row, last + 1), -1)
    crossed: BoolMask = steps[:, :width].cumsum(axis=1) > 0
    return crossed


def _segments(polygons: Polygons, window: Window) -> tuple[Integers, Integers]:
    """Upper and lower end of every edge, (N, 2) each, in lattice steps from the window's corner."""
    xy, ring = shapely.get_coordinates(shapely.get_rings(polygons), return_index=True)
    points = np.rint(xy * STEPS).astype(np.int64) - np.array([window.col_off, window.row_off], dtype=np.int64) * STEPS
    joined = ring[1:] == ring[:-1]
    starts, ends = points[:-1][joined], points[1:][joined]
    upwards = (starts[:, 1] > ends[:, 1])[:, None]
    return np.where(upwards, ends, starts), np.where(upwards, starts, ends)


def _rows_crossed(top: Integers, bottom: Integers, height: int) -> tuple[Integers, Integers]:
    """Segment index and window row of each crossing, (M,) each: a segment crosses each row that it passes through."""
    first = np.maximum(top // STEPS, 0)
    last = np.minimum(-(-bottom // STEPS) - 1, height - 1)
    count = np.maximum(last - first + 1, 0)
    segment = np.repeat(np.arange(len(top)), count)
    row = first[segment] + np.arange(len(segment)) - (np.cumsum(count) - count)[segment]
    return segment, row


def _columns_crossed(starts: Integers, ends: Integers, row: Integers) -> tuple[Integers, Integers]:
    """First and last column that each segment crosses in its row; first > last if the segment crosses no column."""
    (x, y), (dx, dy) = starts.T, (ends - starts).T
    level = dy == 0
    # x at both borders of the row, multiplied by the segment's height to stay in integers.
    scale = np.where(level, 1, dy)
    at_top = x * scale + np.where(level, 0, np.maximum(row * STEPS - y, 0) * dx)
    at_bottom = x * scale + np.where(level, dx, np.minimum((row + 1) * STEPS - y, dy) * dx)
    left, right = np.minimum(at_top, at_bottom), np.maximum(at_top, at_bottom)
    return left // (STEPS * scale), -(-right // (STEPS * scale)) - 1
