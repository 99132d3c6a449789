"""CRS of an output, by name or as the zone of CGCS2000 at a location, and polygons projected without gaps."""

import math
from dataclasses import dataclass

import numpy as np
import shapely
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError, ProjError

from seg.errors import ConfigError, RasterError
from seg.raster.chips import Polygons
from seg.raster.ground.outlines import Floats, metres_per_unit

LONGEST_M = 250.0
"""Longer edges are split before they are projected; an edge of 250 m bends by about a millimetre."""


@dataclass(frozen=True)
class ZoneFamily:
    """Gauss-Kruger zones of CGCS2000 with consecutive EPSG codes.

    Attributes:
        degrees: Width of a zone.
        first_code: EPSG code of the first zone.
        first_meridian: Central meridian of the first zone.
        zones: Number of zones.
    """

    degrees: int
    first_code: int
    first_meridian: int
    zones: int

    def code(self, longitude: float) -> int | None:
        """EPSG code of the zone that holds a longitude; None outside all zones."""
        place = math.floor((longitude - self.first_meridian) / self.degrees + 0.5)
        return self.first_code + place if 0 <= place < self.zones else None

    @property
    def range(self) -> tuple[float, float]:
        """Lowest and highest longitude of all zones."""
        west = self.first_meridian - self.degrees / 2
        return west, west + self.zones * self.degrees


FAMILIES = {
    "cgcs2000-3deg": ZoneFamily(3, 4513, 75, 21),
    "cgcs2000-3deg-cm": ZoneFamily(3, 4534, 75, 21),
    "cgcs2000-6deg": ZoneFamily(6, 4491, 75, 11),
    "cgcs2000-6deg-cm": ZoneFamily(6, 4502, 75, 11),
}
"""Families of zones. Eastings of the first and third begin with the number of the zone (40500000 on the meridian 120E);
eastings of the families that end in -cm have no zone number (500000 on every central meridian)."""


def named_crs(name: str, longitude: float | None, asked: str) -> CRS:
    """CRS of a name such as "EPSG:4526", or the zone of a family in FAMILIES at a longitude.

    Args:
        name: Any CRS that PROJ knows, or a name of FAMILIES.
        longitude: Longitude of the data in degrees; None if the place of the data is not yet known. A family then gives
            its first zone.
        asked: Option or key that holds the name, for errors, such as "--crs".

    Raises:
        ConfigError: The name is unknown, the CRS has no horizontal coordinates on the Earth, or the family has no zone
            at the longitude.
    """
    family = FAMILIES.get(name.lower())
    if family is not None:
        code = family.first_code if longitude is None else family.code(longitude)
        if code is None:
            west, east = family.range
            raise ConfigError(
                f"{asked} is {name}, but the data lie at longitude {longitude:.2f}; zones of CGCS2000 reach from "
                f"{west:g} to {east:g}; name another CRS, such as EPSG:4326"
            )
        return CRS.from_epsg(code)
    try:
        crs = CRS.from_user_input(name)
    except CRSError as error:
        raise ConfigError(
            f"{asked} is {name}, which PROJ does not know; wanted an EPSG code such as EPSG:4526, or one of "
            f"{', '.join(FAMILIES)}"
        ) from error
    if not (crs.is_geographic or crs.is_projected) or len(crs.axis_info) != 2:
        raise ConfigError(f"{asked} is {name}; wanted a geographic or projected CRS of two dimensions, e.g. EPSG:4526")
    return crs


def longitude_of(crs: CRS, x: float, y: float) -> float:
    """Longitude of a point in degrees east of Greenwich.

    Args:
        crs: CRS of the point.
        x: Easting or longitude in the CRS.
        y: Northing or latitude in the CRS.
    """
    longitude, _ = Transformer.from_crs(crs, CRS.from_epsg(4326), always_xy=True).transform(x, y)
    return float(longitude)


class Projection:
    """Project polygons vertex by vertex; neighbours that share an edge also share the projected edge.

    Two polygons that share an edge have the same vertices on it, so the projected vertices are the same. Long edges get
    additional vertices that do not depend on the direction of the edge. Coordinates are easting and northing, or
    longitude and latitude, whatever the order of axes in the definition of a CRS.

    Args:
        source: CRS of the polygons.
        target: CRS of the results.
        name: File of the polygons, for errors.
    """

    def __init__(self, source: CRS, target: CRS, name: str) -> None:
        self._name, self._target = name, target
        self._transformer: Transformer | None = None
        if source != target:
            try:
                self._transformer = Transformer.from_crs(source, target, always_xy=True)
            except ProjError as error:
                raise ConfigError(
                    f"{name}: PROJ has no transformation from its CRS to {target.name} ({error}); name another CRS"
                ) from error
        self._longest = LONGEST_M / metres_per_unit(source)

    @property
    def is_identity(self) -> bool:
        """True if both CRSs are equal; the polygons then stay as they are."""
        return self._transformer is None

    def polygons(self, polygons: Polygons) -> Polygons:
        """Projected polygons, (P,).

        Args:
            polygons: (P,) in the source CRS.

        Raises:
            RasterError: A polygon reaches beyond the area of the target CRS.
        """
        if self._transformer is None:
            return polygons
        projected: Polygons = shapely.transform(
            densified(polygons, self._longest), self._transformer.transform, interleaved=False
        )
        if not np.isfinite(shapely.get_coordinates(projected)).all():
            raise RasterError(
                f"{self._name}: reaches beyond the area of {self._target.name}; choose a CRS of its region"
            )
        return projected


def densified(polygons: Polygons, longest: float) -> Polygons:
    """Polygons whose edges are at most `longest` long; the new vertices of an edge do not depend on its direction.

    Args:
        polygons: (P,) polygons.
        longest: Largest length of an edge, in units of the coordinates.
    """
    west, south, east, north = shapely.bounds(polygons).T
    if not (np.hypot(east - west, north - south) > longest).any():
        return polygons
    rings, polygon = shapely.get_rings(polygons, return_index=True)
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    starts, ends = xy[:-1], xy[1:]
    within = ring[1:] == ring[:-1]
    pieces = np.ceil(np.hypot(*(ends - starts).T) / longest)
    pieces = np.where(within, np.maximum(pieces, 1), 1).astype(np.int64)
    if not (pieces > 1).any():
        return polygons
    split, index = _split_edges(np.append(pieces, 1), xy), np.repeat(ring, np.append(pieces, 1))
    denser: Polygons = shapely.polygons(shapely.linearrings(split, indices=index), indices=polygon)
    return denser


def _split_edges(pieces: "np.ndarray[tuple[int], np.dtype[np.int64]]", xy: Floats) -> Floats:
    """Old and new vertices in order; `pieces` holds the number of pieces of the edge that begins at each vertex."""
    vertex = np.repeat(np.arange(len(xy)), pieces)
    step = np.arange(len(vertex)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    start, end = xy[vertex], xy[np.minimum(vertex + 1, len(xy) - 1)]
    backward = (start[:, 0] > end[:, 0]) | ((start[:, 0] == end[:, 0]) & (start[:, 1] > end[:, 1]))
    low, high = np.where(backward[:, None], end, start), np.where(backward[:, None], start, end)
    share = np.where(backward, pieces[vertex] - step, step) / pieces[vertex]
    split: Floats = np.where((step == 0)[:, None], start, low + (high - low) * share[:, None])
    return split
