"""Zones of a county table: polygons by name, placed on the grid of the map."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import geopandas
import numpy as np
import numpy.typing as npt
import pyproj
import shapely
from rasterio.windows import Window

from seg.errors import ConfigError, NoOverlapError, RasterError, listed
from seg.raster.chips import BoolMask, Polygons
from seg.raster.grid import Grid
from seg.raster.ground.crs import crs_name
from seg.raster.ground.outlines import STRAIGHT_M, metres_per_unit
from seg.raster.ground.pixel_areas import SQUARE_METRES_PER_HECTARE
from seg.raster.vectors.burning import NumberedPolygons
from seg.raster.vectors.crossed_pixels import STEPS
from seg.raster.vectors.features import read_features
from seg.raster.vectors.placing import GivenShapes, flat_polygons, place_shapes

OVERLAP = 0.5
"""Largest allowed width in pixels of an overlap of two zones. Borders that were digitised twice overlap a little."""

_SHOWN = 8

Integers = npt.NDArray[np.int64]
Shapes = npt.NDArray[np.object_]


@dataclass(frozen=True)
class Zones:
    """Zones that lie on a map, numbered from 1 in the order of their file; number 0 means no zone.

    Attributes:
        path: The file.
        column: Column of the names.
        names: Names of the zones; the zone with number n has the name names[n - 1].
        hectares: (Z,) ground area of each zone, including parts beyond the map.
        cut: (Z,) True for a zone that reaches beyond the map.
        beyond: Number of zones in the file that do not lie on the map.
        polygons: Polygons of all zones on the grid of the map.
        zone_of: (P + 1,) number of the zone to which each polygon belongs. Polygons are numbered from 1; number 0 means
            no polygon, and its entry is 0.
    """

    path: Path
    column: str
    names: Sequence[str]
    hectares: npt.NDArray[np.float64]
    cut: BoolMask
    beyond: int
    polygons: NumberedPolygons
    zone_of: Integers

    def __len__(self) -> int:
        return len(self.names)

    def read(self, window: Window) -> Integers:
        """(H, W) number of the zone that covers the centre of each pixel; 0 for a pixel outside all zones."""
        return np.asarray(self.zone_of[self.polygons.read(window)])

    def at(self, rows: Integers, columns: Integers) -> Integers:
        """(N,) number of the zone of each of N pixels.

        Args:
            rows: (N,) rows of the pixels, from 0.
            columns: (N,) columns of the pixels, from 0.
        """
        places = zip(rows.tolist(), columns.tolist(), strict=True)
        found = [self.read(Window(column, row, 1, 1)).item() for row, column in places]
        return np.array(found, dtype=np.int64)


def read_zones(path: Path, grid: Grid, attribute: str | None = None) -> Zones:
    """Read zones and place them on the grid of a map.

    Args:
        path: Any vector file that GDAL reads, or GeoParquet; `FILE|layername=NAME` for one of several layers.
        grid: Grid of the map.
        attribute: Column of the names; None for the first text column whose values are all present and different.

    Raises:
        RasterError: The file cannot be read, has no CRS or no polygons, or zones overlap.
        NoOverlapError: No zone lies on the map.
        ConfigError: The column is missing, no column is suitable, or a feature has no name.
    """
    frame = read_features(path)
    frame = frame[frame.geometry.notna() & ~frame.geometry.is_empty]
    crs = _require_polygons(path, frame)
    column = _column(path, frame, attribute)
    texts = [str(value) for value in frame[column]]
    every = list(dict.fromkeys(texts))
    number = {name: place for place, name in enumerate(every)}
    zone = np.array([number[text] for text in texts], dtype=np.int64)
    shapes = shapely.make_valid(shapely.force_2d(frame.geometry.to_numpy()))
    placed, feature = place_shapes(GivenShapes(str(path), shapes, crs), grid)
    frame_box = shapely.box(0, 0, grid.width, grid.height)
    near = shapely.intersects(placed, frame_box)
    polygons, owner = placed[near], zone[feature[near]]
    present = np.unique(owner)
    if not len(present):
        raise NoOverlapError(
            f"{path}: none of its zones lies on {grid.path}, whose CRS is {crs_name(grid.crs)}; check that both cover "
            "the same region and that the CRS of the zones is right"
        )
    _require_apart(path, every, polygons, owner)
    # Rounding to the lattice moves a vertex by half a step at most.
    inside = shapely.covered_by(placed, shapely.buffer(frame_box, 1 / STEPS, join_style="mitre"))
    here = np.bincount(feature[inside], minlength=len(zone)) > 0
    here &= np.bincount(feature[~inside], minlength=len(zone)) == 0
    cut = np.bincount(zone[~here], minlength=len(every)) > 0
    kept = np.isin(zone, present)
    hectares = np.bincount(zone[kept], _hectares(shapes[kept], crs), len(every))
    numbers = np.concatenate([[0], np.searchsorted(present, owner) + 1])
    names = [every[place] for place in present.tolist()]
    beyond = len(every) - len(present)
    return Zones(path, column, names, hectares[present], cut[present], beyond, NumberedPolygons(polygons), numbers)


def _require_polygons(path: Path, frame: geopandas.GeoDataFrame) -> pyproj.CRS:
    """Check that all features are polygons and that the file has a CRS; return the CRS."""
    wrong = [kind for kind in frame.geom_type if kind not in ("Polygon", "MultiPolygon", "GeometryCollection")]
    if wrong or not len(frame):
        found = f"{len(wrong)} of {len(frame)} features are {wrong[0]}s" if wrong else "it has no feature"
        raise RasterError(f"{path}: {found}; wanted polygons, one or several for each zone")
    if frame.crs is None:
        raise RasterError(
            f"{path}: has no CRS, so the place of its zones is unknown; assign the right CRS first (ogr2ogr -a_srs)"
        )
    return pyproj.CRS.from_user_input(frame.crs)


def _column(path: Path, frame: geopandas.GeoDataFrame, wanted: str | None) -> str:
    columns = [str(name) for name in frame.columns if name != frame.geometry.name]
    shown = listed([f"'{name}'" for name in columns], _SHOWN) or "none"
    if wanted is None:
        for name in columns:
            values = frame[name]
            if values.map(lambda value: isinstance(value, str) and bool(value.strip())).all() and values.is_unique:
                return name
        raise ConfigError(
            f"{path}: has no text column whose values are all present and different; wanted the column of the names, "
            f"one of {shown}, for --zone-attribute"
        )
    if wanted not in columns:
        raise ConfigError(f"{path}: has no column '{wanted}'; wanted one of {shown} for --zone-attribute")
    missing = int((frame[wanted].isna() | (frame[wanted].astype(str).str.strip() == "")).sum())
    if missing:
        raise ConfigError(
            f"{path}: {missing} of {len(frame)} features have no value in the column '{wanted}'; fill in the names, or "
            "name another column with --zone-attribute"
        )
    return wanted


def _require_apart(path: Path, names: Sequence[str], polygons: Polygons, zone: Integers) -> None:
    one, other = _touching(polygons)
    apart = zone[one] != zone[other]
    one, other = one[apart], other[apart]
    common = shapely.intersection(polygons[one], polygons[other])
    wide = np.flatnonzero(~shapely.is_empty(shapely.buffer(common, -OVERLAP / 2)))
    if len(wide):
        first, second = (names[zone[side[wide[0]]]] for side in (one, other))
        more = f", and {len(wide) - 1} more pairs overlap" if len(wide) > 1 else ""
        raise RasterError(
            f"{path}: zones '{first}' and '{second}' overlap on about "
            f"{max(float(shapely.area(common[wide[0]])), 1):,.0f} pixels of the map{more}; wanted zones that do not "
            "overlap; cut the common part out of one of them (in QGIS: Vector > Geoprocessing Tools > Difference)"
        )


def _touching(polygons: Polygons) -> tuple[Integers, Integers]:
    """Pairs of polygons that may overlap.

    Most polygons of a large layer have exactly the same edges as their neighbours, so intersecting all neighbours would
    waste time. The fast check of a coverage finds polygons whose edges do not match. The check misses a polygon that
    lies within another polygon; such pairs are searched separately.
    """
    tree = shapely.STRtree(polygons)
    within = tree.query(shapely.point_on_surface(polygons), predicate="intersects")
    pairs = [within[:, within[0] != within[1]]]
    misfits = np.flatnonzero(~shapely.is_empty(shapely.coverage_invalid_edges(polygons)))
    if len(misfits):
        found = tree.query(polygons[misfits], predicate="intersects")
        found[0] = misfits[found[0]]
        pairs.append(found[:, found[0] != found[1]])
    one, other = np.unique(np.sort(np.concatenate(pairs, axis=1), axis=0), axis=1)
    return one, other


def _hectares(shapes: Shapes, crs: pyproj.CRS) -> npt.NDArray[np.float64]:
    """(N,) ground areas of polygons on the ellipsoid of their CRS."""
    geod, geodetic = crs.get_geod(), crs.geodetic_crs
    assert geod is not None  # place_shapes has transformed the polygons, so the CRS refers to the Earth.
    assert geodetic is not None
    to_lonlat = pyproj.Transformer.from_crs(crs, geodetic, always_xy=True)
    polygons, shape = flat_polygons(shapes)
    straight = shapely.segmentize(polygons, STRAIGHT_M / metres_per_unit(crs))
    lonlat = shapely.transform(straight, to_lonlat.transform, interleaved=False)
    areas = [abs(geod.geometry_area_perimeter(polygon)[0]) for polygon in shapely.orient_polygons(lonlat)]
    sums = np.bincount(shape, np.array(areas, dtype=np.float64), len(shapes))
    return np.asarray(sums / SQUARE_METRES_PER_HECTARE, dtype=np.float64)
