"""Attributes of parcels from another polygon layer: each parcel gets those of the polygon that it overlaps most."""

import json
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
import shapely
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError, ProjError

from seg.errors import RasterError
from seg.parcels.shapefile import ALIAS, DECIMALS, REAL_WIDTH, WIDTH
from seg.raster.chips import Polygons
from seg.raster.ground.outlines import Floats
from seg.raster.vectors.features import FALLBACK, chosen_layer, quiet_library, require_near
from seg.raster.vectors.settings import LAYER

_MEASURED = {"shape_length", "shape_leng", "shape_area"}
"""Columns in which ArcGIS stores length and area of the polygons. Parcels do not get these columns, because a parcel
and its polygon have different areas."""


class Attributes:
    """All polygons of a layer, with their columns.

    Args:
        path: Any vector file that GDAL reads, or GeoParquet; `FILE|layername=NAME` for one of several layers.

    Attributes:
        path: The file.
        polygons: (N,) polygons and multipolygons, made valid; None where a feature has no geometry.
        crs: CRS of the polygons.
        table: N rows of all columns except the geometry and the areas and lengths of ArcGIS.

    Raises:
        RasterError: The file cannot be read or has no CRS, or a feature is not a polygon.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        table, name, crs = _read(path)
        geometry = shapely.from_wkb(table.column(name).combine_chunks().to_numpy(zero_copy_only=False))
        require_near(path, geometry)
        kinds = set(np.unique(shapely.get_type_id(geometry)).tolist()) - {-1, 3, 6}
        if kinds or not len(geometry):
            raise RasterError(f"{path}: {'has points or lines' if kinds else 'has no feature'}; wanted polygons")
        try:
            self.crs = CRS.from_user_input(crs)
        except CRSError as error:
            raise RasterError(f"{path}: has no CRS that PROJ knows; assign one (ogr2ogr -a_srs ...)") from error
        with np.errstate(invalid="ignore"):
            self.polygons: Polygons = shapely.make_valid(shapely.force_2d(geometry))
        measured = [column for column in table.column_names if column.lower() in _MEASURED]
        self.table = _plain(table.drop_columns([name, *measured]))

    def placed(self, crs: CRS) -> Polygons:
        """The polygons in another CRS, (N,), with easting or longitude first.

        Raises:
            RasterError: PROJ cannot transform the polygons, or they lie beyond the area of the CRS.
        """
        try:
            transform = Transformer.from_crs(self.crs, crs, always_xy=True).transform
            placed: Polygons = shapely.transform(self.polygons, transform, interleaved=False)
        except ProjError as error:
            raise RasterError(f"{self.path}: PROJ cannot transform it to {crs.name} ({error})") from error
        if not np.isfinite(shapely.get_coordinates(placed)).all():
            raise RasterError(f"{self.path}: reaches beyond the area of {crs.name}; clip it to the map")
        return placed


class LargestOverlap:
    """Search for the polygon that shares the largest area with a given polygon; of equal areas, the first one wins.

    Args:
        polygons: (N,) polygons and multipolygons; entries may be None.
    """

    def __init__(self, polygons: Polygons) -> None:
        self._polygons = polygons
        self._tree = shapely.STRtree(polygons)

    def of(self, others: Polygons) -> NDArray[np.int64]:
        """(M,) index of the polygon that shares the largest area with each of M polygons; -1 if none shares area."""
        other, found = self._tree.query(others, predicate="intersects")
        shared: Floats = np.full(len(other), np.inf)
        # Most of the others lie inside the only polygon that they intersect, so no areas need to be compared.
        alone = np.bincount(other, minlength=len(others))[other] == 1
        exact = ~alone | ~shapely.covers(self._polygons[found], others[other])
        shared[exact] = shapely.area(shapely.intersection(self._polygons[found[exact]], others[other[exact]]))
        other, found, shared = other[shared > 0], found[shared > 0], shared[shared > 0]
        order = np.lexsort((-found, shared, other))
        best = np.full(len(others), -1, dtype=np.int64)
        best[other[order]] = found[order]  # The last assignment wins: the polygon with the largest common area.
        return best


def _read(path: Path) -> tuple[pa.Table, str, object]:
    """Table of a layer, name of the geometry column, and CRS."""
    name, _, layer = str(path).partition(LAYER)
    file = Path(name)
    if not file.exists():
        raise RasterError(f"{file}: no such file; check the path")
    try:
        if file.suffix.lower() in {".parquet", ".geoparquet"}:
            return _read_parquet(file)
        chosen = chosen_layer(file, file, layer or None, f"{file}{LAYER}NAME")
        with quiet_library():
            meta, table = pyogrio.read_arrow(file, layer=chosen)
            if not _is_text(table):
                meta, table = pyogrio.read_arrow(file, layer=chosen, encoding=FALLBACK)
    except (DataSourceError, DataLayerError, pa.ArrowException, ValueError) as error:
        line = " ".join(str(error).split())[:200]
        raise RasterError(
            f"{file}: not a readable layer of polygons ({line}); wanted a format that GDAL reads"
        ) from error
    return table, str(meta["geometry_name"] or "wkb_geometry"), meta["crs"]


def _read_parquet(file: Path) -> tuple[pa.Table, str, object]:
    table = pq.read_table(file)
    geo = json.loads((table.schema.metadata or {}).get(b"geo", b"{}"))
    name = geo.get("primary_column")
    if name not in table.column_names:
        raise ValueError("it has no GeoParquet geometry")
    return table, str(name), geo["columns"][name].get("crs", "OGC:CRS84")


def _is_text(table: pa.Table) -> bool:
    try:
        table.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _plain(table: pa.Table) -> pa.Table:
    """Keep only the metadata that a shapefile needs: the alias, and the width and decimals that the values need."""
    fields = []
    for field, column in zip(table.schema, table.columns, strict=True):
        kept = {key: value for key, value in (field.metadata or {}).items() if key == ALIAS}
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            longest = max((len(text.encode()) for text in column.unique().to_pylist() if text is not None), default=0)
            kept[WIDTH] = str(max(longest, 1)).encode()
        elif pa.types.is_floating(field.type):
            largest = max((abs(number) for number in column.to_pylist() if number is not None), default=0.0)
            digits = len(str(int(largest))) if math.isfinite(largest) else 0
            kept |= {WIDTH: str(REAL_WIDTH).encode(), DECIMALS: str(max(min(18 - digits, 15), 0)).encode()}
        fields.append(field.with_metadata(kept or None))
    return pa.table([column.combine_chunks() for column in table.columns], schema=pa.schema(fields))
