"""Geodesic areas of polygons in any CRS, in a few microseconds for each polygon."""

import threading

import numpy as np
import shapely
from pyproj import CRS, Proj

from seg.raster.chips import Polygons
from seg.raster.ground.outlines import Floats, metres_per_unit

LARGEST_M = 5_000.0
"""Polygons that are wider or higher are measured edge by edge: their scale is not constant enough for 1e-6."""


class AreaMeasure:
    """Measure polygons of one CRS on its ellipsoid.

    The area in the plane is divided by the areal scale of the projection at the centroid. The scale varies by about
    (size / radius of the Earth) squared within a polygon, so the relative error is below 1e-6 up to LARGEST_M.

    Args:
        crs: A projected or geographic CRS.
    """

    def __init__(self, crs: CRS) -> None:
        self._crs = crs
        self._own = threading.local()
        geod = crs.get_geod()
        assert geod is not None
        self._geod = geod

    def square_metres(self, polygons: Polygons) -> Floats:
        """(P,) geodesic areas in square metres.

        Args:
            polygons: (P,) polygons or multipolygons in the CRS, with easting or longitude first.
        """
        if not len(polygons):
            return np.zeros(0)
        centroids = shapely.centroid(polygons)
        scale = self._per_square_unit(shapely.get_x(centroids), shapely.get_y(centroids))
        areas: Floats = shapely.area(polygons) * scale
        west, south, east, north = shapely.bounds(polygons).T
        large = np.maximum(east - west, north - south) * metres_per_unit(self._crs) > LARGEST_M
        for place in np.flatnonzero(large & (areas > 0)).tolist():
            areas[place] = self._edge_by_edge(polygons[place])
        return areas

    def _per_square_unit(self, x: Floats, y: Floats) -> Floats:
        """Square metres on the ellipsoid per square unit of the CRS at some points."""
        projection = self._projection()
        if projection is None:
            return _square_degree(y, self._geod.a, self._geod.es)
        unit = self._crs.axis_info[0].unit_conversion_factor
        longitude, latitude = projection(x, y, inverse=True)
        scale: Floats = np.asarray(projection.get_factors(longitude, latitude).areal_scale)
        return unit**2 / scale

    def _projection(self) -> Proj | None:
        """The projection, a copy for each thread, since PROJ's objects are not safe in threads; None if geographic."""
        if not hasattr(self._own, "projection"):
            self._own.projection = Proj(self._crs) if self._crs.is_projected else None
        projection: Proj | None = self._own.projection
        return projection

    def _edge_by_edge(self, polygon: shapely.Polygon) -> float:
        dense, projection = shapely.segmentize(polygon, 1_000.0 / metres_per_unit(self._crs)), self._projection()
        if projection is not None:
            dense = shapely.transform(dense, lambda x, y: projection(x, y, inverse=True), interleaved=False)
        return abs(float(self._geod.geometry_area_perimeter(shapely.orient_polygons(dense))[0]))


def _square_degree(latitude: Floats, major: float, squared: float) -> Floats:
    """Area of one degree by one degree in square metres, from the radii of curvature (Snyder 1987, section 4)."""
    radians = np.radians(latitude)
    flat = 1 - squared * np.sin(radians) ** 2
    area: Floats = major**2 * (1 - squared) * np.cos(radians) / flat**2 * np.radians(1) ** 2
    return area
