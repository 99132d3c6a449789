"""Write vector layers with GDAL, and move finished files and folders to their final names."""

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyogrio
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj import CRS

from seg.errors import ConfigError, WriteError
from seg.files import final_path, flush, put_in_place, require_output_file, require_output_folder, writing
from seg.parcels.shapefile import Encoding, ShapefileTable
from seg.raster.ground.outlines import metres_per_unit

FORMATS = {
    ".gpkg": "GPKG",
    ".parquet": "Parquet",
    ".geoparquet": "Parquet",
    ".geojson": "GeoJSON",
    ".json": "GeoJSON",
    ".gdb": "OpenFileGDB",
    ".shp": "ESRI Shapefile",
}
"""Formats by the suffix of the file."""

SIBLINGS = (".dbf", ".shx", ".prj", ".cpg", ".sbn", ".sbx", ".qix", ".qpj", ".shp.xml")
"""Suffixes of the files of a shapefile beside the .shp."""

RESERVED = frozenset({"fid", "ogc_fid", "objectid", "shape", "geom", "geometry", "shape_length", "shape_area"})
"""Names of columns, in lower case, that formats use themselves."""

RESOLUTION_M = 1e-6
"""Resolution of coordinates in a File Geodatabase. GDAL's default of 0.1 mm would change small areas by 1e-5."""


@dataclass(frozen=True)
class Layer:
    """A layer to write.

    Attributes:
        name: Name of the layer.
        schema: Columns; the geometry is WKB in the column "geometry". The metadata of a column may hold an alias, the
            width of a text column, and the width and decimals of a floating-point column (see `seg.parcels.shapefile`).
        crs: CRS of the geometry.
        encoding: Encoding of a shapefile.
    """

    name: str
    schema: pa.Schema
    crs: CRS
    encoding: Encoding = "utf-8"


def format_of(output: Path) -> str:
    """Format of a file, from its suffix.

    Raises:
        ConfigError: The suffix is none of FORMATS.
    """
    if output.suffix.lower() not in FORMATS:
        raise ConfigError(f"{output}: wanted a file name that ends in {', '.join(FORMATS)}; name another output")
    return FORMATS[output.suffix.lower()]


def layer_name(output: Path) -> str:
    """Name of the only layer of a file: the file's stem.

    In a File Geodatabase, characters other than letters, digits and underscores become underscores.
    """
    if format_of(output) != "OpenFileGDB":
        return output.stem
    plain = re.sub(r"\W", "_", output.stem)
    return plain if plain[0].isalpha() else f"parcels_{plain}"


def geometry_field() -> pa.Field:
    """Column of the geometry; GeoArrow's metadata tells GDAL which column holds the geometry."""
    return pa.field("geometry", pa.binary(), metadata={"ARROW:extension:name": "geoarrow.wkb"})


def write_layer(output: Path, layer: Layer, batches: Iterable[pa.RecordBatch]) -> None:
    """Write rows batch by batch through GDAL; a .gdb or .gpkg that exists gets a further layer.

    Args:
        output: The file or folder.
        layer: Name, columns and CRS.
        batches: The rows.

    Raises:
        ConfigError: A value, a name or the file does not fit into a shapefile.
        WriteError: The rows cannot be stored.
    """
    kind, schema, encoding = format_of(output), layer.schema, None
    rows = iter(batches)
    if kind == "ESRI Shapefile":
        table = ShapefileTable(final_path(output), schema, layer.encoding)
        schema, rows, encoding = table.schema, table.batches(rows), layer.encoding.upper()
    failures: list[BaseException] = []
    reader = pa.RecordBatchReader.from_batches(schema, _watched(rows, failures))
    try:
        with writing(output, DataSourceError, DataLayerError, RuntimeError):
            pyogrio.write_arrow(
                reader,
                output,
                layer=layer.name,
                driver=kind,
                geometry_name="geometry",
                geometry_type="Polygon",
                crs=layer.crs.to_wkt(),
                encoding=encoding,
                layer_options=_layer_options(kind, layer),
            )
    except WriteError as error:
        if failures:  # pyogrio hides this error: it only reports missing rows.
            raise failures.pop() from error  # The list must not keep the error, which holds rows and threads.
        raise


def _layer_options(kind: str, layer: Layer) -> dict[str, str]:
    if kind == "GeoJSON":
        # Seven decimals, the default for RFC 7946, would move vertices by up to 6 mm.
        return {"RFC7946": "YES", "COORDINATE_PRECISION": "11"}
    if kind == "ESRI Shapefile":
        return {"2GB_LIMIT": "YES"}
    if kind != "OpenFileGDB":
        return {}
    scale = metres_per_unit(layer.crs) / RESOLUTION_M
    options = {"XYSCALE": f"{min(scale, 1e11):.0f}", "TARGET_ARCGIS_VERSION": "ALL"}
    if any(field.type == pa.int64() or pa.types.is_date(field.type) for field in layer.schema):
        # Older versions of the format store large whole numbers inexactly, and dates as times.
        options["TARGET_ARCGIS_VERSION"] = "ARCGIS_PRO_3_2_OR_LATER"
    return options


def _watched(batches: Iterator[pa.RecordBatch], failures: list[BaseException]) -> Iterator[pa.RecordBatch]:
    try:
        yield from batches
    except BaseException as error:
        failures.append(error)
        raise


def require_vector_output(output: Path) -> None:
    """Check before long work that a vector file can be written, without creating it.

    Raises:
        ConfigError: The suffix is unknown, or it has capitals although the format consists of several files. The folder
            is missing or read-only. The path is a folder but not a File Geodatabase, or a file whose name ends in .gdb.
    """
    if format_of(output) in {"OpenFileGDB", "ESRI Shapefile"} and output.suffix not in FORMATS:
        raise ConfigError(f"{output}: wanted a name that ends in {output.suffix.lower()}, without capitals")
    if format_of(output) != "OpenFileGDB":
        require_output_file(output)
        return
    require_output_folder(output)
    if output.is_dir() and any(output.iterdir()) and not (output / "gdb").is_file():
        raise ConfigError(f"{output}: is a folder, but not a File Geodatabase; name another output")
    if output.exists() and not os.access(output.parent, os.W_OK | os.X_OK):
        raise ConfigError(f"{output}: its folder {output.parent} is read-only; name another output")


def put_vector_in_place(finished: Path, output: Path) -> None:
    """Move a finished file, shapefile or File Geodatabase to its final name; an older one is replaced.

    The .shp of a shapefile is moved last and removed first, so a shapefile is whole or absent. An older File
    Geodatabase is first renamed into the folder of the finished one.

    Args:
        finished: The file or folder in a `work_folder`.
        output: Its final name, on the same file system.

    Raises:
        OSError: The disk is full, or an older file cannot be replaced.
    """
    kind = format_of(output)
    if kind == "OpenFileGDB":
        for part in finished.iterdir():
            flush(part)
        if output.exists():
            output.rename(finished.with_name(f"{finished.name}.old"))
        finished.rename(output)
        shutil.rmtree(finished.with_name(f"{finished.name}.old"), ignore_errors=True)
    elif kind == "ESRI Shapefile":
        output.unlink(missing_ok=True)
        for suffix in SIBLINGS:
            with suppress(FileNotFoundError):
                output.with_suffix(suffix).unlink()
            if finished.with_suffix(suffix).exists():
                put_in_place(finished.with_suffix(suffix), output.with_suffix(suffix))
        put_in_place(finished, output)
    else:
        put_in_place(finished, output)
