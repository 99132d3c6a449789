"""How much ground each pixel of a raster covers, in square metres of its CRS's ellipsoid, whatever the CRS."""

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS, Proj
from rasterio.windows import Window

from seg.errors import RasterError
from seg.raster.grid import Grid, crs_name

SQUARE_METRES_PER_HECTARE = 10_000.0

_NODE_PIXELS = 64
_NODE_M = 5_000.0
"""Between places at which areas in a projected CRS are computed, at most; in between they are interpolated, which is
right to a ten-millionth where the scale of the projection changes as that of UTM does."""

_DIFFERENCE_M = 1_000.0

_UNKNOWN = "so the ground its pixels cover is unknown"


class PixelAreas:
    """Ground area of the pixels of one grid, window by window.

    In a geographic CRS a pixel lies between two meridians and two parallels, whose area is known in closed form
    (Snyder 1987, https://doi.org/10.3133/pp1395, equation 3-12). In a projected one its area follows from how longitude
    and latitude change around its centre, which is right to the square of a pixel's, or a kilometre's, share of the
    Earth's radius.

    Args:
        grid: The raster's; its transform may be turned in a projected CRS only.

    Raises:
        RasterError: The grid states no CRS, one that is neither geographic nor projected, a turned one in degrees, or
            lies where its CRS has no place on the ellipsoid.
    """

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._crs = _understood(grid)
        if self._crs.is_geographic:
            _require_upright(grid)
        self._projection = None if self._crs.is_geographic else Proj(self._crs)

    def window(self, window: Window) -> NDArray[np.float64]:
        """Ground area in square metres, (H, W) float64, read-only where all columns are alike.

        Args:
            window: Inside the raster.

        Raises:
            RasterError: The CRS has no place on the ellipsoid for a part of it.
        """
        if self._projection is None:
            return np.broadcast_to(self._row_areas(window)[:, None], (window.height, window.width))
        step = max(1, min(_NODE_PIXELS, int(_NODE_M / self._pixel_m)))
        row_nodes, row_weights = _interpolation(window.row_off, window.height, step)
        column_nodes, column_weights = _interpolation(window.col_off, window.width, step)
        areas: NDArray[np.float64] = row_weights @ self._projected_areas(row_nodes, column_nodes) @ column_weights.T
        return areas

    def at(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.float64]:
        """Ground area in square metres of single pixels.

        Args:
            rows: (N,), from 0.
            columns: (N,), from 0.
        """
        windows = (Window(column, row, 1, 1) for row, column in zip(rows.tolist(), columns.tolist(), strict=True))
        return np.array([self.window(window).item() for window in windows])

    @property
    def _pixel_m(self) -> float:
        return max(self._grid.pixel_size) * float(self._crs.axis_info[0].unit_conversion_factor)

    @property
    def _axes(self) -> tuple[float, float]:
        ellipsoid = self._crs.ellipsoid
        assert ellipsoid is not None
        return ellipsoid.semi_major_metre, ellipsoid.semi_minor_metre

    def _row_areas(self, window: Window) -> NDArray[np.float64]:
        transform, unit = self._grid.transform, self._crs.axis_info[0].unit_conversion_factor  # radians in a unit
        edges = (transform.f + transform.e * np.arange(window.row_off, window.row_off + window.height + 1)) * unit
        beyond = np.abs(edges).max() - np.pi / 2
        if beyond > 1e-9:
            raise RasterError(
                f"{self._grid.path}: reaches {np.degrees(beyond):.3g} degrees beyond a pole, {_UNKNOWN}; mend its "
                "georeference"
            )
        below = _area_below(np.clip(edges, -np.pi / 2, np.pi / 2), *self._axes)
        return np.asarray(np.abs(np.diff(below)) * abs(transform.a) * unit)

    def _projected_areas(self, rows: NDArray[np.float64], columns: NDArray[np.float64]) -> NDArray[np.float64]:
        row, column = np.meshgrid(rows, columns, indexing="ij")
        # Differences over a kilometre, since some of PROJ's inverses are right to a millimetre only.
        half = max(0.5, _DIFFERENCE_M / 2 / self._pixel_m)
        up, down = self._radians(row - half, column), self._radians(row + half, column)
        left, right = self._radians(row, column - half), self._radians(row, column + half)
        with np.errstate(invalid="ignore"):  # infinite where there is no such place
            (east_down, north_down), (east_right, north_right) = down - up, right - left
            turned = _wrapped(east_right) * north_down - _wrapped(east_down) * north_right
            areas = np.abs(turned) / (2 * half) ** 2 * self._square_radian((up + down)[1] / 2)
        if not (np.isfinite(areas) & (areas > 0)).all():
            raise RasterError(
                f"{self._grid.path}: reaches beyond the area that {crs_name(self._grid.crs)} is made for, {_UNKNOWN}; "
                "warp it to a CRS of its region"
            )
        return np.asarray(areas)

    def _radians(self, row: NDArray[np.float64], column: NDArray[np.float64]) -> NDArray[np.float64]:
        """Longitude and latitude of places counted in pixels, (2, ...), in radians of the CRS's own datum."""
        assert self._projection is not None
        t = self._grid.transform
        x, y = t.a * column + t.b * row + t.c, t.d * column + t.e * row + t.f
        return np.stack(self._projection(x, y, inverse=True, radians=True))

    def _square_radian(self, latitude: NDArray[np.float64]) -> NDArray[np.float64]:
        """Square metres of a radian of longitude by one of latitude, by the radii of curvature: Snyder, section 4."""
        major, minor = self._axes
        squared = 1 - (minor / major) ** 2
        flat = 1 - squared * np.sin(latitude) ** 2
        return np.asarray(major**2 * (1 - squared) * np.cos(latitude) / flat**2)


def _understood(grid: Grid) -> CRS:
    if grid.crs is None:
        raise RasterError(f"{grid.path}: states no CRS, {_UNKNOWN}; assign the right one (gdal_edit.py -a_srs)")
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
        raise RasterError(
            f"{grid.path}: is turned against the meridians of its geographic CRS; warp it north up (gdalwarp) first"
        )


def _wrapped(longitude: NDArray[np.float64]) -> NDArray[np.float64]:
    """A difference of longitudes across the antimeridian, made small."""
    return np.asarray((longitude + np.pi) % (2 * np.pi) - np.pi)


def _area_below(latitude: NDArray[np.float64], major: float, minor: float) -> NDArray[np.float64]:
    """Area between the equator and a latitude, in square metres for one radian of longitude; south of it negative."""
    sine, eccentricity = np.sin(latitude), np.sqrt(1 - (minor / major) ** 2)
    if eccentricity == 0:
        return np.asarray(major**2 * sine)
    curved = sine / (1 - (eccentricity * sine) ** 2) + np.arctanh(eccentricity * sine) / eccentricity
    return np.asarray(minor**2 / 2 * curved)


def _interpolation(start: int, length: int, step: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Places along an axis, counted in pixels, and the weight of each (P) for each pixel's centre (N), (N, P)."""
    centres = np.arange(start, start + length, dtype=np.float64) + 0.5
    if length <= step or step == 1:
        nodes = centres if step == 1 or length == 1 else centres[[0, -1]]
    else:
        nodes = np.asarray(np.linspace(centres[0], centres[-1], -(-(length - 1) // step) + 1), dtype=np.float64)
    if len(nodes) == 1:
        return nodes, np.ones((length, 1))
    place = (centres - nodes[0]) / (nodes[1] - nodes[0])
    return nodes, np.asarray(np.clip(1 - np.abs(place[:, None] - np.arange(len(nodes))), 0, None))
