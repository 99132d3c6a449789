"""Geodesic areas of polygons in any CRS, in a few microseconds for each polygon."""

import numpy as np
import shapely
from pyproj import CRS, Transformer

from seg.raster.chips import Polygons
from seg.raster.ground.outlines import Floats, metres_per_unit

LARGEST_M = 5_000.0
"""Wider or higher polygons are measured edge by edge. The scale varies within them too much for an error below 1e-6."""

DIFFERENCE_M = 1_000.0
"""Step of the finite differences, whose relative error is (step / Earth's radius) squared."""


class AreaMeasure:
    """Measure polygons of one CRS on its ellipsoid; may be used in several threads.

    The area in the plane is divided by the areal scale of the projection at the centroid. The scale varies by about
    (size / radius of the Earth) squared within a polygon. For polygons up to LARGEST_M wide and high, the relative
    error is therefore below 1e-6.

    Args:
        crs: A projected or geographic CRS.
    """

    def __init__(self, crs: CRS) -> None:
        geod, geodetic = crs.get_geod(), crs.geodetic_crs
        assert geod is not None
        assert geodetic is not None
        self._geod, self._metres = geod, metres_per_unit(crs)
        # pyproj.Proj gives the scale, but making and using a Proj is not safe in threads.
        self._to_degrees = Transformer.from_crs(crs, geodetic, always_xy=True) if crs.is_projected else None

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
        large = np.maximum(east - west, north - south) * self._metres > LARGEST_M
        for place in np.flatnonzero(large & (areas > 0)).tolist():
            areas[place] = self._edge_by_edge(polygons[place])
        return areas

    def _per_square_unit(self, x: Floats, y: Floats) -> Floats:
        """Square metres on the ellipsoid per square unit of the CRS at some points."""
        if self._to_degrees is None:
            return _square_degree(y, self._geod.a, self._geod.es)
        half = DIFFERENCE_M / 2 / self._metres
        across = np.concatenate([x - half, x + half, x, x]), np.concatenate([y, y, y - half, y + half])
        left, right, below, above = np.stack(self._to_degrees.transform(*across), axis=-1).reshape(4, -1, 2)
        (east_x, north_x), (east_y, north_y) = (right - left).T, (above - below).T
        turned = _wrapped(east_x) * north_y - _wrapped(east_y) * north_x
        scale: Floats = np.abs(turned) / (2 * half) ** 2
        return scale * _square_degree((below + above)[:, 1] / 2, self._geod.a, self._geod.es)

    def _edge_by_edge(self, polygon: shapely.Polygon) -> float:
        dense = shapely.segmentize(polygon, 1_000.0 / self._metres)
        if self._to_degrees is not None:
            dense = shapely.transform(dense, self._to_degrees.transform, interleaved=False)
        return abs(float(self._geod.geometry_area_perimeter(shapely.orient_polygons(dense))[0]))


def _wrapped(longitude: Floats) -> Floats:
    """Differences of longitude wrapped to -180 to 180 degrees."""
    wrapped: Floats = (longitude + 180) % 360 - 180
    return wrapped


def _square_degree(latitude: Floats, major: float, squared: float) -> Floats:
    """Area of one degree by one degree in square metres, from the radii of curvature (Snyder 1987, section 4)."""
    radians = np.radians(latitude)
    flat = 1 - squared * np.sin(radians) ** 2
    area: Floats = major**2 * (1 - squared) * np.cos(radians) / flat**2 * np.radians(1) ** 2
    return area
