"""Faults of polygons: invalid, overlapping, too small, outside their zone, and gaps at lines between zones."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS

from seg.delivery.checking.values import Finding
from seg.delivery.cutting import SLIVER_M2
from seg.delivery.template import Template
from seg.parcels.target_crs import Projection
from seg.raster.chips import Polygons
from seg.raster.ground.outlines import Floats, metres_per_unit

TOUCHING_M = 0.01
"""Largest distance between a line and a polygon that counts as touching the line. It is not 0, because straight edges
bend by about a millimetre in another CRS."""

GAP_M = 0.2
"""Largest width of a gap at a line between zones. A wider space may be land of another class, which is at least one
pixel wide."""

STEP_M = 1.0
"""Spacing of the points on lines between zones at which gaps are searched."""

_GAP_POINTS = 3
"""Least number of neighbouring points in a gap. A single point may lie at the corner of two parcels, without a gap."""

_ROUNDING_M = 0.002
"""A polygon may reach beyond its zone by the area of a strip of this width along its outline."""


def polygon_faults(polygons: Polygons) -> Iterator[Finding]:
    """Missing, empty and invalid geometries, geometries that are not polygons, and polygons of several parts.

    Args:
        polygons: (N,) geometries.
    """
    kinds, empty = shapely.get_type_id(polygons), shapely.is_empty(polygons)
    for place in np.flatnonzero(~np.isin(kinds, (3, 6)) | empty).tolist():
        yield "invalid polygon", place, "is not a polygon" if kinds[place] >= 0 else "has no geometry"
    for place in np.flatnonzero(np.isin(kinds, (3, 6)) & ~shapely.is_valid(polygons)).tolist():
        yield "invalid polygon", place, shapely.is_valid_reason(polygons[place])
    for place in np.flatnonzero((kinds == 6) & (shapely.get_num_geometries(polygons) > 1)).tolist():
        yield "invalid polygon", place, f"has {shapely.get_num_geometries(polygons[place])} parts; wanted one"


def overlap_faults(polygons: Polygons, unit_m: float, shown: list[str]) -> Iterator[Finding]:
    """Pairs of overlapping polygons; each pair is reported once.

    Args:
        polygons: (N,) valid polygons; None is left out.
        unit_m: Metres per unit of the CRS.
        shown: (N,) names of the records.
    """
    tree = shapely.STRtree(polygons)
    first, second = tree.query(polygons, predicate="intersects")
    pairs = first < second
    first, second = first[pairs], second[pairs]
    inner = ~shapely.touches(polygons[first], polygons[second])
    first, second = first[inner], second[inner]
    common = shapely.area(shapely.intersection(polygons[first], polygons[second])) * unit_m**2
    for place in np.flatnonzero(common > SLIVER_M2).tolist():
        yield "overlap", int(first[place]), f"overlaps {shown[second[place]]} by {common[place]:,.2f} m2"


def small_faults(areas_m2: Floats, least_m2: Floats, on_line: NDArray[np.bool_]) -> Iterator[Finding]:
    """Parcels below their least area that were not cut by a line between zones.

    Args:
        areas_m2: (N,) areas; NaN where a record has no polygon.
        least_m2: (N,) least areas.
        on_line: (N,) True for polygons at the edge of their zone, which may be a part of a larger parcel.
    """
    with np.errstate(invalid="ignore"):
        small = (areas_m2 < least_m2 * (1 - 1e-6)) & ~on_line
    for place in np.flatnonzero(small).tolist():
        yield "too small", place, f"has {areas_m2[place]:,.2f} m2; the least area is {least_m2[place]:,.2f} m2"


def outside_faults(polygons: Polygons, zone: shapely.MultiPolygon, unit_m: float) -> Iterator[Finding]:
    """Polygons that reach beyond their zone.

    Args:
        polygons: (N,) valid polygons; None is left out.
        zone: The zone in the same CRS.
        unit_m: Metres per unit of the CRS.
    """
    shapely.prepare(zone)
    candidates = np.flatnonzero(~shapely.covers(zone, polygons) & ~shapely.is_missing(polygons))
    beyond = shapely.area(shapely.difference(polygons[candidates], zone)) * unit_m**2
    allowed = SLIVER_M2 + _ROUNDING_M * shapely.length(polygons[candidates]) * unit_m
    for place in np.flatnonzero(beyond > allowed).tolist():
        yield "outside its zone", int(candidates[place]), f"reaches beyond its zone by {beyond[place]:,.2f} m2"


@dataclass
class ZoneLines:
    """Polygons near the edges of their zones, collected to find gaps between neighbouring zones.

    Args:
        template: The template.
    """

    template: Template
    _crs: CRS | None = None
    _edges: list[Polygons] = field(default_factory=list)
    _near: list[Polygons] = field(default_factory=list)
    _records: list[list[tuple[str, str, str]]] = field(default_factory=list)

    def add(
        self, polygons: Polygons, zone: shapely.MultiPolygon, crs: CRS, records: list[tuple[str, str, str]]
    ) -> NDArray[np.bool_]:
        """Add the polygons of a zone; return (N,) True for polygons at the edge of the zone.

        Args:
            polygons: (N,) valid polygons; None is left out.
            zone: The zone in the same CRS.
            crs: The CRS.
            records: (N,) file, layer and name of each record.
        """
        unit = metres_per_unit(crs)
        edge = zone.boundary
        shapely.prepare(edge)
        near = shapely.dwithin(edge, polygons, GAP_M / unit)
        self._crs = self._crs or crs
        project = Projection(crs, self._crs, "delivery")
        kept = polygons[near]
        parts, index = shapely.get_parts(kept, return_index=True)
        self._near.append(project.polygons(parts))
        self._records.append([records[np.flatnonzero(near)[place]] for place in index.tolist()])
        self._edges.append(project.polygons(shapely.get_parts(zone)))
        at_edge: NDArray[np.bool_] = shapely.dwithin(edge, polygons, TOUCHING_M / unit)
        return at_edge

    def faults(self) -> Iterator[tuple[tuple[str, str, str], str]]:
        """Record and text of each gap; a gap is reported once."""
        if self._crs is None:
            return
        unit = metres_per_unit(self._crs)
        zone = np.repeat(np.arange(len(self._near)), [len(near) for near in self._near])
        polygons = np.concatenate(self._near)
        records = [record for each in self._records for record in each]
        for number in range(len(self._near)):
            own, later = polygons[zone == number], polygons[zone > number]
            if not len(own) or not len(later):
                continue
            first = int(np.flatnonzero(zone == number)[0])
            for place, length in _gaps(self._edges[number], own, later, unit):
                yield records[first + place], f"a gap of about {length:.0f} m at the line to the next zone"


def _gaps(edges: Polygons, own: Polygons, others: Polygons, unit: float) -> Iterator[tuple[int, float]]:
    """Nearest own polygon and length in metres of each gap along the edges of a zone.

    A gap is a part of the edge with polygons near it on both sides. On at least one side, no polygon touches this part.
    """
    mine, theirs = shapely.STRtree(own), shapely.STRtree(others)
    for ring in shapely.get_rings(edges).tolist():
        points = shapely.points(shapely.get_coordinates(shapely.segmentize(ring, STEP_M / unit)))
        near = _within(mine, points, GAP_M / unit)
        near[near] = _within(theirs, points[near], GAP_M / unit)
        touched = near.copy()
        for tree in (mine, theirs):
            touched[touched] = _within(tree, points[touched], TOUCHING_M / unit)
        gap = near & ~touched
        starts = np.flatnonzero(np.diff(gap.astype(np.int8), prepend=0) == 1)
        ends = np.flatnonzero(np.diff(gap.astype(np.int8), append=0) == -1) + 1
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            if end - start >= _GAP_POINTS:
                yield int(mine.nearest(points[(start + end) // 2])), (end - start - 1) * STEP_M


def _within(tree: shapely.STRtree, points: Polygons, distance: float) -> NDArray[np.bool_]:
    """(N,) True for points within a distance of a polygon of the tree."""
    found = np.zeros(len(points), dtype=bool)
    found[np.unique(tree.query(points, predicate="dwithin", distance=distance)[0])] = True
    return found
