"""Areas and lengths on the ellipsoid, of outlines on the pixel lattice, whatever the CRS."""

import math

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError

from seg.errors import RasterError
from seg.raster.grid import Grid, crs_name

_STRAIGHT_M = 1000.0
"""Longer edges are split: a geodesic of 1 km leaves a straight line on the map by about 2 cm."""
_EARTH_M = 6_371_000.0

Polygons = NDArray[np.object_]
Floats = NDArray[np.float64]


class GroundMeasure:
    """Measures outlines of one grid.

    Args:
        grid: The raster's.

    Raises:
        RasterError: It has no CRS or transform, or one that has no place on the Earth.
    """

    def __init__(self, grid: Grid) -> None:
        unknown = "so the areas of its parcels are unknown; georeference it first (gdal_edit.py -a_srs ... -a_ullr ...)"
        if grid.crs is None:
            raise RasterError(f"{grid.path}: states no CRS, {unknown}")
        if grid.transform.is_identity or grid.transform.determinant == 0:
            raise RasterError(f"{grid.path}: states no valid transform, {unknown}")
        self._grid = grid
        try:
            crs = CRS.from_wkt(grid.crs.to_wkt())
            geod, geodetic = crs.get_geod(), crs.geodetic_crs
            if geod is None or geodetic is None:
                raise RasterError(f"{grid.path}: its CRS {crs_name(grid.crs)} has no place on the Earth, {unknown}")
            self._to_lonlat = Transformer.from_crs(crs, geodetic, always_xy=True)
        except ProjError as error:
            raise RasterError(f"{grid.path}: its CRS is not understood ({error}), {unknown}") from error
        self._geod = geod
        unit = crs.axis_info[0].unit_conversion_factor if crs.axis_info else 1.0
        pixel_m = max(grid.pixel_size) * unit * (_EARTH_M if crs.is_geographic else 1.0)
        self._longest = max(math.floor(_STRAIGHT_M / pixel_m), 1)

    def polygons(self, polygons: Polygons) -> Floats:
        """(P, 2) area in square metres and perimeter in metres: holes are taken from the one and added to the other.

        Args:
            polygons: (P,) on the pixel lattice.
        """
        rings, index = shapely.get_rings(polygons, return_index=True)
        areas, lengths = self.rings(rings)
        areas[1:][index[1:] == index[:-1]] *= -1
        return np.column_stack([np.bincount(index, each, minlength=len(polygons)) for each in (areas, lengths)])

    def rings(self, rings: Polygons) -> tuple[Floats, Floats]:
        """Area within in square metres, and length in metres, of each.

        Args:
            rings: (R,) closed, on the pixel lattice.

        Raises:
            RasterError: The raster reaches beyond where its CRS is defined.
        """
        coordinates, index = shapely.get_coordinates(rings, return_index=True)
        if np.abs(np.diff(coordinates, axis=0))[index[1:] == index[:-1]].max(initial=0) > self._longest:
            coordinates, index = shapely.get_coordinates(shapely.segmentize(rings, self._longest), return_index=True)
        lon, lat = self._to_lonlat.transform(*on_map(self._grid, coordinates).T)
        if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
            raise RasterError(
                f"{self._grid.path}: reaches beyond the area that {crs_name(self._grid.crs)} is made for, so the areas "
                "of its parcels are unknown; warp it to a CRS of its region"
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
    """Places on the map, (N, 2) x and y in the CRS, of (N, 2) columns and rows of the lattice."""
    t, (columns, rows) = grid.transform, lattice.T
    return np.column_stack([t.a * columns + t.b * rows + t.c, t.d * columns + t.e * rows + t.f])
