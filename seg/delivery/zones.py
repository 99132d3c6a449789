"""Zones such as counties: their polygons in the CRS of the parcels, and their values."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from pyproj import CRS

from seg.delivery.areas import AreaMeasure
from seg.delivery.template import MAP_CRS, Template
from seg.errors import ConfigError, RasterError, listed
from seg.parcels.attributes import Attributes
from seg.parcels.target_crs import Projection, longitude_of, named_crs
from seg.raster.chips import Polygons

OVERLAP_M2 = 1.0
"""Largest common area of two zones that counts as rounding of their coordinates."""


@dataclass(frozen=True)
class Zones:
    """Zones of a delivery.

    Attributes:
        polygons: (Z,) polygons or multipolygons; empty if the delivery has no zones.
        values: Values of each zone by column; one empty mapping if the delivery has no zones.
        crs: CRS of the polygons.
    """

    polygons: Polygons
    values: list[Mapping[str, object]]
    crs: CRS

    def layer_crs(self, template: Template, zone: int, bounds: tuple[float, float, float, float]) -> CRS:
        """CRS of the layer of a zone.

        Args:
            template: The template.
            zone: Number of the zone from 0.
            bounds: Left, bottom, right and top of all parcels, for a delivery without zones.

        Raises:
            ConfigError: The template's family of Gauss-Kruger zones does not reach the centre of the zone.
        """
        if template.crs == MAP_CRS:
            return self.crs
        left, bottom, right, top = shapely.bounds(self.polygons[zone]) if len(self.polygons) else bounds
        longitude = longitude_of(self.crs, (left + right) / 2, (bottom + top) / 2)
        return named_crs(template.crs, longitude, "crs")


def read_zones(path: Path | None, template: Template, crs: CRS) -> Zones:
    """Zones with the columns that a template uses, in a CRS.

    Args:
        path: Polygons in any format and CRS; None if the template uses no zones.
        template: The template.
        crs: CRS of the result.

    Raises:
        ConfigError: The zones are missing or not used, lack a column, overlap, or two of them would have the same
            layer.
        RasterError: The file cannot be read.
    """
    columns = template.zone_columns
    if path is None:
        if columns:
            raise ConfigError(f"the template uses zone.{min(columns)}, but there are no zones; name them with --zones")
        return Zones(np.empty(0, dtype=object), [{}], crs)
    if not columns:
        raise ConfigError(f"{path}: the template uses no column of zones; leave --zones out")
    read = Attributes(path)
    for column in sorted(columns - set(read.table.column_names)):
        raise ConfigError(
            f"{path}: has no column '{column}', which the template uses; its columns are "
            f"{listed(read.table.column_names)}"
        )
    polygons = _placed(read, crs)
    values: list[Mapping[str, object]] = read.table.select(sorted(columns)).to_pylist()
    names = [template.names(value) for value in values]
    double = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if double is not None:
        raise ConfigError(f"{path}: two zones have the layer {double[1]} in {double[0]}; wanted different names")
    if template.is_single and len({str(file) for file, _ in names}) < len(names):
        raise ConfigError(f"{path}: several zones have the same file, which holds one layer; put {{zone...}} into file")
    _require_apart(path, polygons, crs, [f"{layer}" for _, layer in names])
    return Zones(polygons, values, crs)


def _placed(zones: Attributes, crs: CRS) -> Polygons:
    """The polygons in a CRS, with new vertices on long edges."""
    if any(polygon is None or polygon.is_empty for polygon in zones.polygons):
        raise RasterError(f"{zones.path}: has a zone without a polygon; remove it")
    parts, index = shapely.get_parts(zones.polygons, return_index=True)
    areal = shapely.get_type_id(parts) == shapely.GeometryType.POLYGON
    projected = Projection(zones.crs, crs, str(zones.path)).polygons(parts[areal])
    joined: Polygons = shapely.multipolygons(projected, indices=index[areal])
    return joined


def _require_apart(path: Path, polygons: Polygons, crs: CRS, names: list[str]) -> None:
    tree = shapely.STRtree(polygons)
    first, second = tree.query(polygons, predicate="intersects")
    pairs = first < second
    first, second = first[pairs], second[pairs]
    common = AreaMeasure(crs).square_metres(shapely.intersection(polygons[first], polygons[second]))
    for place in np.flatnonzero(common > OVERLAP_M2).tolist()[:1]:
        raise ConfigError(
            f"{path}: the zones of {names[first[place]]} and {names[second[place]]} overlap by "
            f"{common[place]:,.1f} m2; correct their common line"
        )
