"""Ground area of each pixel of a raster, in square metres on the ellipsoid of its CRS, in any CRS."""

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS, Proj
from rasterio.windows import Window

from seg.errors import RasterError
from seg.raster.grid import Grid
from seg.raster.ground.crs import crs_name
from seg.raster.ground.outlines import metres_per_unit

SQUARE_METRES_PER_HECTARE = 10_000.0

_NODE_PIXELS = 64
_NODE_M = 5_000.0
"""Largest spacing, in pixels and in metres, of the points where areas in a projected CRS are computed. Areas between
these points are interpolated; in UTM the relative error is at most 1e-7."""

_DIFFERENCE_M = 1_000.0
"""Step of the finite differences in metres. Some inverse projections err by a millimetre, so a smaller step would be
less exact."""

_UNKNOWN = "so the area of its pixels is unknown"


class PixelAreas:
    """Ground area of the pixels of one grid, window by window.

    In a geographic CRS a pixel lies between two meridians and two parallels, so its area has a closed form (Snyder
    1987, https://doi.org/10.3133/pp1395, equation 3-12). In a projected CRS the area follows from finite differences of
    longitude and latitude around the pixel's centre. The step of the differences is 1 km, or the pixel size if a pixel
    is larger than 1 km; the relative error is (step / Earth's radius) squared.

    Args:
        grid: Grid of the raster; it may be rotated only in a projected CRS.

    Raises:
        RasterError: The grid has no CRS, its CRS is neither geographic nor projected, or the grid is rotated in a
            geographic CRS.
    """

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._crs = _usable_crs(grid)
        if self._crs.is_geographic:
            _require_upright(grid)
        self._projection = None if self._crs.is_geographic else Proj(self._crs)

    def window(self, window: Window) -> NDArray[np.float64]:
        """Ground area in square metres, (H, W) float64; read-only in a geographic CRS.

        Args:
            window: Window inside the raster.

        Raises:
            RasterError: A part of the window lies beyond the area of the CRS.
        """
        if self._projection is None:
            return np.broadcast_to(self._row_areas(window)[:, None], (window.height, window.width))
        step = max(1, min(_NODE_PIXELS, int(_NODE_M / self._pixel_m)))
        row_nodes, row_weights = _interpolation(window.row_off, window.height, step)
        column_nodes, column_weights = _interpolation(window.col_off, window.width, step)
        areas: NDArray[np.float64] = row_weights @ self._projected_areas(row_nodes, column_nodes) @ column_weights.T
        return areas

    def at(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.float64]:
        """(N,) ground area of single pixels in square metres.

        Args:
            rows: (N,) rows of the pixels, from 0.
            columns: (N,) columns of the pixels, from 0.
        """
        windows = (Window(column, row, 1, 1) for row, column in zip(rows.tolist(), columns.tolist(), strict=True))
        return np.array([self.window(window).item() for window in windows])

    @property
    def _pixel_m(self) -> float:
        return max(self._grid.pixel_size) * metres_per_unit(self._crs)

    @property
    def _axes(self) -> tuple[float, float]:
        ellipsoid = self._crs.ellipsoid
        assert ellipsoid is not None
        return ellipsoid.semi_major_metre, ellipsoid.semi_minor_metre

    def _row_areas(self, window: Window) -> NDArray[np.float64]:
        transform, radians = self._grid.transform, self._crs.axis_info[0].unit_conversion_factor
        edges = (transform.f + transform.e * np.arange(window.row_off, window.row_off + window.height + 1)) * radians
        beyond = np.abs(edges).max() - np.pi / 2
        if beyond > 1e-9:
            raise RasterError(
                f"{self._grid.path}: reaches {np.degrees(beyond):.3g} degrees beyond a pole, {_UNKNOWN}; correct its "
                "georeference"
            )
        below = _area_below(np.clip(edges, -np.pi / 2, np.pi / 2), *self._axes)
        return np.asarray(np.abs(np.diff(below)) * abs(transform.a) * radians)

    def _projected_areas(self, rows: NDArray[np.float64], columns: NDArray[np.float64]) -> NDArray[np.float64]:
        row, column = np.meshgrid(rows, columns, indexing="ij")
        half = max(0.5, _DIFFERENCE_M / 2 / self._pixel_m)
        up, down = self._radians(row - half, column), self._radians(row + half, column)
        left, right = self._radians(row, column - half), self._radians(row, column + half)
        with np.errstate(invalid="ignore"):  # Coordinates outside the area of the CRS are infinite.
            (east_down, north_down), (east_right, north_right) = down - up, right - left
            turned = _wrapped(east_right) * north_down - _wrapped(east_down) * north_right
            areas = np.abs(turned) / (2 * half) ** 2 * self._square_radian((up + down)[1] / 2)
        if not (np.isfinite(areas) & (areas > 0)).all():
            raise RasterError(
                f"{self._grid.path}: reaches beyond the area of {crs_name(self._grid.crs)}, {_UNKNOWN}; "
                "warp it to a CRS of its region"
            )
        return np.asarray(areas)

    def _radians(self, row: NDArray[np.float64], column: NDArray[np.float64]) -> NDArray[np.float64]:
        """Longitude and latitude of pixel coordinates, (2, ...) in radians on the CRS's own datum."""
        assert self._projection is not None
        x, y = self._grid.transform @ (column, row)
        return np.stack(self._projection(x, y, inverse=True, radians=True))

    def _square_radian(self, latitude: NDArray[np.float64]) -> NDArray[np.float64]:
        """Area of one radian by one radian in square metres, from the radii of curvature (Snyder 1987, section 4)."""
        major, minor = self._axes
        squared = 1 - (minor / major) ** 2
        flat = 1 - squared * np.sin(latitude) ** 2
        return np.asarray(major**2 * (1 - squared) * np.cos(latitude) / flat**2)


def _usable_crs(grid: Grid) -> CRS:
    if grid.crs is None:
        raise RasterError(f"{grid.path}: has no CRS, {_UNKNOWN}; assign the right one (gdal_edit.py -a_srs)")
    crs = CRS.from_wkt(grid.crs.to_wkt())
    while crs.is_bound or crs.is_compound:
        inner = crs.sub_crs_list[0] if crs.is_compound else crs.source_crs
        assert inner is not None
        crs = inner
    if not (crs.is_geographic or crs.is_projected):
        raise RasterError(
            f"{grid.path}: its CRS {crs_name(grid.crs)} is neither geographic nor projected, {_UNKNOWN}; warp it first"
        )
    return crs


def _require_upright(grid: Grid) -> None:
    if grid.transform.b or grid.transform.d:
        raise RasterError(f"{grid.path}: is rotated in a geographic CRS; warp it north up (gdalwarp) first")


def _wrapped(longitude: NDArray[np.float64]) -> NDArray[np.float64]:
    """Differences of longitude wrapped to -pi to pi, in radians."""
    return np.asarray((longitude + np.pi) % (2 * np.pi) - np.pi)


def _area_below(latitude: NDArray[np.float64], major: float, minor: float) -> NDArray[np.float64]:
    """Area between the equator and a latitude for one radian of longitude, in square metres; negative in the south."""
    sine, eccentricity = np.sin(latitude), np.sqrt(1 - (minor / major) ** 2)
    if eccentricity == 0:
        return np.asarray(major**2 * sine)
    curved = sine / (1 - (eccentricity * sine) ** 2) + np.arctanh(eccentricity * sine) / eccentricity
    return np.asarray(minor**2 / 2 * curved)


def _interpolation(start: int, length: int, step: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sample points along an axis, (P,) in pixels, and their interpolation weights at N pixel centres, (N, P)."""
    centres = np.arange(start, start + length, dtype=np.float64) + 0.5
    if length <= step or step == 1:
        nodes = centres if step == 1 or length == 1 else centres[[0, -1]]
    else:
        nodes = np.asarray(np.linspace(centres[0], centres[-1], -(-(length - 1) // step) + 1), dtype=np.float64)
    if len(nodes) == 1:
        return nodes, np.ones((length, 1))
    place = (centres - nodes[0]) / (nodes[1] - nodes[0])
    return nodes, np.asarray(np.clip(1 - np.abs(place[:, None] - np.arange(len(nodes))), 0, None))
