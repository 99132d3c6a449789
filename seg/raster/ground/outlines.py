"""Geodesic areas and perimeters of outlines given in pixel coordinates, in any CRS."""

import math

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError

from seg.errors import RasterError
from seg.raster.chips import Polygons
from seg.raster.grid import Grid
from seg.raster.ground.crs import crs_name

STRAIGHT_M = 1000.0
"""Longer edges are split before they are projected, since edges bend: by about 2 cm for 1 km, by 200 m for 100 km."""

_EARTH_M = 6_371_000.0
"""Mean radius of the Earth."""

Floats = NDArray[np.float64]


def metres_per_unit(crs: CRS) -> float:
    """Metres per unit of a CRS; for a geographic CRS, metres per unit along a great circle."""
    unit = crs.axis_info[0].unit_conversion_factor if crs.axis_info else 1.0
    return (unit or 1.0) * (_EARTH_M if crs.is_geographic else 1.0)


class GroundMeasure:
    """Measure outlines of one grid on the ellipsoid of its CRS.

    Args:
        grid: Grid of the raster.

    Raises:
        RasterError: The grid has no CRS, no transform, or a CRS that does not refer to the Earth.
    """

    def __init__(self, grid: Grid) -> None:
        unknown = "so the areas of its parcels are unknown; georeference it first (gdal_edit.py -a_srs ... -a_ullr ...)"
        if grid.crs is None:
            raise RasterError(f"{grid.path}: has no CRS, {unknown}")
        if grid.transform.is_identity or grid.transform.determinant == 0:
            raise RasterError(f"{grid.path}: has no valid transform, {unknown}")
        self._grid = grid
        try:
            crs = CRS.from_wkt(grid.crs.to_wkt())
            geod, geodetic = crs.get_geod(), crs.geodetic_crs
            if geod is None or geodetic is None:
                raise RasterError(f"{grid.path}: its CRS {crs_name(grid.crs)} does not refer to the Earth, {unknown}")
            self._to_lonlat = Transformer.from_crs(crs, geodetic, always_xy=True)
        except ProjError as error:
            raise RasterError(f"{grid.path}: PROJ cannot use its CRS ({error}), {unknown}") from error
        self._geod = geod
        self._longest = max(math.floor(STRAIGHT_M / (max(grid.pixel_size) * metres_per_unit(crs))), 1)

    def polygons(self, polygons: Polygons) -> Floats:
        """(P, 2) area in square metres and perimeter in metres; holes reduce the area and add to the perimeter.

        Args:
            polygons: (P,) polygons in pixel coordinates (column, row).

        Raises:
            RasterError: The raster reaches beyond the area of its CRS.
        """
        rings, index = shapely.get_rings(polygons, return_index=True)
        areas, lengths = self.rings(rings)
        areas[1:][index[1:] == index[:-1]] *= -1
        return np.column_stack([np.bincount(index, each, minlength=len(polygons)) for each in (areas, lengths)])

    def rings(self, rings: Polygons) -> tuple[Floats, Floats]:
        """Enclosed area in square metres and length in metres of each ring, (R,) each.

        Args:
            rings: (R,) closed rings in pixel coordinates (column, row).

        Raises:
            RasterError: The raster reaches beyond the area of its CRS.
        """
        coordinates, index = shapely.get_coordinates(rings, return_index=True)
        if np.abs(np.diff(coordinates, axis=0))[index[1:] == index[:-1]].max(initial=0) > self._longest:
            coordinates, index = shapely.get_coordinates(shapely.segmentize(rings, self._longest), return_index=True)
        lon, lat = self._to_lonlat.transform(*on_map(self._grid, coordinates).T)
        if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
            raise RasterError(
                f"{self._grid.path}: reaches beyond the area of {crs_name(self._grid.crs)}, so the areas of its "
                "parcels are unknown; warp it to a CRS of its region"
            )
        ends = np.searchsorted(index, np.arange(len(rings)), side="right").tolist()
        starts = [0, *ends][:-1]
        measured = [
            self._geod.polygon_area_perimeter(lon[start:end], lat[start:end])
            for start, end in zip(starts, ends, strict=True)
        ]
        areas, lengths = np.array(measured, dtype=np.float64).reshape(-1, 2).T
        return np.abs(areas), lengths.copy()


def on_map(grid: Grid, lattice: Floats) -> Floats:
    """Coordinates of points in the CRS of the grid, (N, 2).

    Args:
        grid: Grid of the raster.
        lattice: (N, 2) pixel coordinates of the points: column, row.
    """
    columns, rows = lattice.T
    return np.column_stack(grid.transform @ (columns, rows))
