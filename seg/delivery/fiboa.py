"""Field boundaries for agriculture (fiboa 0.3.0, https://fiboa.org) as GeoParquet, from the parcels of a map.

fiboa 0.3.0 extends Vecorel 0.1.0 (https://vecorel.org/specification). Each row has an id, a collection and a geometry;
the metadata of the file lists the schemas of the collection. Areas are in square metres.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from seg import __version__
from seg.files import SOFTWARE, put_in_place, require_output_file, work_folder, writing
from seg.parcels.formats import COLUMNS as PARCEL_COLUMNS
from seg.parcels.formats import require_own_table
from seg.parcels.settings import PolygonSettings
from seg.parcels.write_parcels import Advance, ParcelFile, write_parcels
from seg.raster.grid import open_raster
from seg.raster.ground.pixel_areas import SQUARE_METRES_PER_HECTARE

SCHEMAS = (
    "https://vecorel.org/specification/v0.1.0/schema.yaml",
    "https://fiboa.org/specification/v0.3.0/schema.yaml",
)
"""Schemas of the rows: Vecorel's core and fiboa."""

LANGUAGE = "https://vecorel.org/sdl/v0.2.0/schema.json"
"""Schema language of Vecorel; the file describes columns that fiboa does not know in this language."""

METHOD = "auto-imagery"
"""Word of fiboa for boundaries that were detected automatically in images."""

FIELDS = (
    pa.field("id", pa.string(), nullable=False),
    pa.field("collection", pa.string(), nullable=False),
    pa.field("geometry", pa.binary(), nullable=False),
    pa.field("metrics:area", pa.float32()),
    pa.field("metrics:perimeter", pa.float32()),
    pa.field("determination:datetime", pa.timestamp("ms", tz="UTC")),
    pa.field("determination:method", pa.string()),
    pa.field("determination:details", pa.string()),
)
"""Columns of a file, with the types that the schemas require."""

_BATCH = 10_000
_TYPES = {
    pa.string(): "string",
    pa.float64(): "double",
    pa.int64(): "int64",
    pa.int32(): "int32",
    pa.bool_(): "boolean",
}


@dataclass(frozen=True)
class Determination:
    """Origin of the parcels.

    Attributes:
        collection: Name of the collection.
        observed: Last moment at which the imagery shows the parcels; None if unknown.
        details: Software, model and map, as text.
    """

    collection: str
    observed: datetime | None
    details: str


def write_fiboa(
    input: Path, output: Path, settings: PolygonSettings, observed: datetime | None, advance: Advance
) -> ParcelFile:
    """Convert a class map to parcels in fiboa's form of GeoParquet.

    Args:
        input: The class map.
        output: The file to write (.parquet), atomically.
        settings: Sizes, splitting and simplification of parcels.
        observed: Last moment at which the imagery shows the parcels; None if unknown.
        advance: Called after each block.

    Raises:
        RasterError: A raster cannot be read or has no CRS, or the rasters have different grids.
        WriteError: The output cannot be written.
        ClaimError: Another process writes the output.
        ConfigError: The output is not GeoParquet, or was not written by this software.
    """
    require_output_file(output, [".parquet", ".geoparquet"])
    names = {field.name for field in FIELDS} | {*PARCEL_COLUMNS}
    require_own_table(output, output.stem, _known(output, names))
    origin = Determination(output.stem, observed, _details(input))
    with work_folder(output) as folder:
        plain, finished = folder / "plain.parquet", folder / output.name
        parcels = write_parcels(input, plain, settings, advance)
        convert(plain, finished, origin)
        put_in_place(finished, output)
    return ParcelFile(output, parcels.parcels, parcels.hectares)


def convert(plain: Path, output: Path, origin: Determination) -> None:
    """Convert a GeoParquet file of parcels batch by batch.

    Args:
        plain: Parcels that `write_parcels` wrote.
        output: The file to write.
        origin: Origin of the parcels.

    Raises:
        WriteError: The output cannot be written.
    """
    with pq.ParquetFile(plain) as source, writing(output, pa.ArrowException):
        stored = source.schema_arrow
        further = [field for field in stored if field.name not in {"id", "geometry", "area", "perimeter"}]
        metadata = {
            "geo": stored.metadata[b"geo"],
            "collection": json.dumps(collection_metadata(origin.collection, further)),
        }
        schema = pa.schema([*FIELDS, *further], metadata)
        with pq.ParquetWriter(output, schema, compression="zstd") as writer:
            for batch in source.iter_batches(_BATCH):
                writer.write_batch(_rows(batch, schema, origin))


def collection_metadata(collection: str, further: Collection[pa.Field] = ()) -> dict[str, object]:
    """Metadata of a collection: its schemas, and a schema of the columns that fiboa does not know.

    Args:
        collection: Name of the collection.
        further: Columns that fiboa does not know.
    """
    content: dict[str, object] = {"schemas": {collection: list(SCHEMAS)}, "collection": collection}
    if further:
        properties: Mapping[str, object] = {field.name: {"type": _TYPES.get(field.type, "string")} for field in further}
        content["schemas:custom"] = {"$schema": LANGUAGE, "properties": properties}
    return content


def _rows(batch: pa.RecordBatch, schema: pa.Schema, origin: Determination) -> pa.RecordBatch:
    rows = batch.num_rows
    columns = {
        "id": batch["id"],
        "collection": pa.repeat(origin.collection, rows),
        "geometry": batch["geometry"],
        "metrics:area": pc.cast(pc.multiply(batch["area"], SQUARE_METRES_PER_HECTARE), pa.float32()),
        "metrics:perimeter": pc.cast(batch["perimeter"], pa.float32()),
        "determination:datetime": pa.array(np.full(rows, origin.observed, dtype=object), pa.timestamp("ms", tz="UTC")),
        "determination:method": pa.repeat(METHOD, rows),
        "determination:details": pa.repeat(origin.details, rows),
    }
    columns |= {name: batch[name] for name in schema.names if name not in columns}
    return pa.record_batch([columns[field.name] for field in schema], schema=schema)


def _details(path: Path) -> str:
    with open_raster(path) as dataset:
        tags = dataset.tags()
    model = f"; model {tags['SEG_MODEL']}" if "SEG_MODEL" in tags else ""
    threshold = f"; threshold {tags['SEG_THRESHOLD']}" if "SEG_THRESHOLD" in tags else ""
    return f"{SOFTWARE} {__version__}: parcels of the class map {path.name}{model}{threshold}"


def _known(output: Path, names: set[str]) -> set[str]:
    """Columns that an existing file may have: those in `names`, and those that its metadata describe."""
    try:
        content = json.loads(pq.read_schema(output).metadata[b"collection"])
        return names | set(content["schemas:custom"]["properties"])
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError):
        return names
