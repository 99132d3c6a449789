"""Read a delivered layer: its fields as they are stored, its records and its polygons."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj import CRS
from pyproj.exceptions import CRSError

from seg.delivery.checking.dbf import DbfTable
from seg.errors import RasterError
from seg.parcels.shapefile import ALIAS, WIDTH, Encoding
from seg.parcels.vector_files import format_of
from seg.raster.chips import Polygons
from seg.raster.vectors.features import quiet_library


@dataclass(frozen=True)
class StoredField:
    """A field as a file stores it.

    Attributes:
        name: Name of the field.
        kind: text, integer, real, date, or another type of the format.
        width: Width, or None where the format stores none.
        decimals: Decimals, or None where the format stores none.
        alias: Alias, or None.
    """

    name: str
    kind: str
    width: int | None = None
    decimals: int | None = None
    alias: str | None = None


@dataclass(frozen=True)
class Content:
    """A layer in memory.

    Attributes:
        fields: Fields in their order.
        table: Values of the fields, N rows.
        polygons: (N,) geometries; None where a record has none.
        numbers: (N,) numbers of the records in the file.
        crs: CRS; None if the file has no CRS that PROJ knows.
    """

    fields: list[StoredField]
    table: pa.Table
    polygons: Polygons
    numbers: list[int]
    crs: CRS | None


def layers_of(file: Path) -> list[str]:
    """Names of the layers in a file.

    Raises:
        RasterError: The file cannot be read.
    """
    if format_of(file) == "Parquet":
        return [file.stem]
    try:
        with quiet_library():
            return [str(name) for name, _ in pyogrio.list_layers(file)]
    except (DataSourceError, DataLayerError) as error:
        raise RasterError(f"{file}: not readable ({' '.join(str(error).split())[:150]})") from error


def read_layer(file: Path, layer: str, encoding: Encoding) -> Content:
    """Read a layer of a file into memory.

    Args:
        file: The file.
        layer: Name of the layer.
        encoding: Wanted encoding, for a shapefile.

    Raises:
        RasterError: The layer cannot be read.
    """
    kind = format_of(file)
    try:
        if kind == "Parquet":
            table = pq.read_table(file)
            geo = json.loads((table.schema.metadata or {}).get(b"geo", b"{}"))
            geometry = str(geo["primary_column"])
            numbers, crs = list(range(1, table.num_rows + 1)), geo["columns"][geometry].get("crs", "OGC:CRS84")
        else:
            chosen = None if kind in {"ESRI Shapefile", "GeoJSON"} else layer
            code = encoding.upper() if kind == "ESRI Shapefile" else None
            with quiet_library():
                meta, table = pyogrio.read_arrow(file, layer=chosen, return_fids=True, encoding=code)
            geometry, crs = str(meta["geometry_name"] or "wkb_geometry"), meta["crs"]
            fid = str(meta["fid_column"] or table.column_names[0]) if "fid_column" in meta else table.column_names[0]
            numbers, table = table.column(fid).to_pylist(), table.drop_columns([fid])
        wkb = table.column(geometry).combine_chunks().to_numpy(zero_copy_only=False)
        polygons = np.asarray(shapely.force_2d(shapely.from_wkb(wkb, on_invalid="ignore")), dtype=object)
    except (DataSourceError, DataLayerError, pa.ArrowException, ValueError, KeyError) as error:
        raise RasterError(f"{file}: layer {layer} is not readable ({' '.join(str(error).split())[:150]})") from error
    table = table.drop_columns([geometry])
    fields = _dbf_fields(file, encoding) if kind == "ESRI Shapefile" else [_stored(field) for field in table.schema]
    return Content(fields, table, polygons, numbers, _crs(crs))


def _dbf_fields(file: Path, encoding: Encoding) -> list[StoredField]:
    columns = DbfTable(file.with_suffix(".dbf"), encoding).columns
    return [StoredField(column.name, column.kind, column.width, column.decimals) for column in columns]


def _stored(field: pa.Field) -> StoredField:
    metadata = field.metadata or {}
    kinds: Sequence[tuple[bool, str]] = [
        (pa.types.is_string(field.type) or pa.types.is_large_string(field.type), "text"),
        (pa.types.is_integer(field.type), "integer"),
        (pa.types.is_floating(field.type), "real"),
        (pa.types.is_date(field.type), "date"),
    ]
    kind = next((name for found, name in kinds if found), str(field.type))
    width = int(metadata[WIDTH]) if WIDTH in metadata else None
    alias = metadata[ALIAS].decode() if ALIAS in metadata else None
    return StoredField(field.name, kind, width, None, alias)


def _crs(text: object) -> CRS | None:
    try:
        return CRS.from_user_input(text) if text else None
    except CRSError:
        return None
