"""Fit tables into the limits of shapefiles: names, widths, decimals, encoding and size."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from seg.errors import ConfigError

Encoding = Literal["utf-8", "gbk"]
"""Encodings of names and text in a shapefile."""

WIDTH, DECIMALS, ALIAS = b"GDAL:OGR:width", b"decimals", b"GDAL:OGR:alternative_name"
"""Keys of a column's metadata: width in characters or digits, decimals, and alias. GDAL reads the first and third."""

NAME_BYTES = 10
TEXT_BYTES = 254
INTEGER_DIGITS = 18
"""Limits of a DBF table; GDAL reads whole numbers of more digits as floating-point numbers."""

MOST_FIELDS = 255
MOST_BYTES = 2**31 - 1
"""Largest size of the .shp and of the .dbf file; much software refuses larger files."""

REAL_WIDTH, REAL_DECIMALS = 21, 9
"""Width and decimals of a floating-point column whose metadata do not give them. GDAL writes up to 19 digits without
loss; a sign and a point make 21 characters."""

_INTEGER32_WIDTH = 11
_RECORD_BYTES = 8 + 44
"""Bytes of a polygon's record without rings and vertices."""


def dbf_names(names: Sequence[str], encoding: Encoding) -> dict[str, str]:
    """Names of at most ten bytes, by column; they differ even if case is ignored, and short names do not change.

    Args:
        names: Names of the columns.
        encoding: Encoding of the table.

    Raises:
        ConfigError: The encoding cannot write a name.
    """
    short = {name: name for name in names if _size(name, encoding) <= NAME_BYTES}
    taken = {name.upper() for name in short}
    for name in names:
        if name in short:
            continue
        number, cut = 0, _cut(name, NAME_BYTES, encoding)
        while cut.upper() in taken:
            number += 1
            cut = _cut(name, NAME_BYTES - len(f"_{number}"), encoding) + f"_{number}"
        short[name] = cut
        taken.add(cut.upper())
    return {name: short[name] for name in names}


def _size(text: str, encoding: Encoding) -> int:
    try:
        return len(text.encode(encoding))
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"the name '{text}' has the character '{text[error.start]}', which {encoding.upper()} cannot write; rename "
            "it, or use encoding utf-8 or another format"
        ) from error


def _cut(text: str, size: int, encoding: Encoding) -> str:
    return text.encode(encoding)[:size].decode(encoding, errors="ignore")


class ShapefileTable:
    """Convert rows of a table to rows of a shapefile.

    The metadata of a text column give its width in bytes of the encoding; the default is 254. The metadata of a
    floating-point column give its width and decimals; the defaults are 21 and 9. Times become text.

    Args:
        path: The shapefile, for errors.
        schema: Columns; the geometry is WKB in the column "geometry".
        encoding: Encoding of names and text.

    Attributes:
        schema: Columns of the shapefile.

    Raises:
        ConfigError: There are too many columns, or the encoding cannot write a name.
    """

    def __init__(self, path: Path, schema: pa.Schema, encoding: Encoding) -> None:
        self._path, self._encoding = path, encoding
        if len(schema) - 1 > MOST_FIELDS:
            raise ConfigError(f"{path}: {len(schema) - 1} columns; a shapefile holds {MOST_FIELDS}; write a .gpkg")
        self.names = dbf_names([name for name in schema.names if name != "geometry"], encoding)
        self.schema = pa.schema([self._fitted(field) for field in schema])
        self._sizes = np.zeros(2, dtype=np.int64)
        self._row_bytes = 1 + sum(_dbf_width(field) for field in self.schema if field.name != "geometry")

    def _fitted(self, field: pa.Field) -> pa.Field:
        if field.name == "geometry":
            return field
        kind, metadata = field.type, dict(field.metadata or {})
        if pa.types.is_floating(kind):
            width, decimals = int(metadata.get(WIDTH, REAL_WIDTH)), int(metadata.get(DECIMALS, REAL_DECIMALS))
            # GDAL adds the sign and the point to the digits of a decimal number.
            kind, metadata = pa.decimal128(width - 2, decimals), {}
        elif pa.types.is_integer(kind) and kind != pa.int64():
            kind = pa.int32() if kind.bit_width < 32 or kind == pa.int32() else pa.int64()
        elif not (pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_date(kind)):
            kind = pa.string()
            metadata = {WIDTH: str(min(int(metadata.get(WIDTH, TEXT_BYTES)), TEXT_BYTES))}
        if kind == pa.int64():
            metadata = {WIDTH: str(min(int(metadata.get(WIDTH, INTEGER_DIGITS)), INTEGER_DIGITS))}
        return pa.field(self.names[field.name], kind, metadata=metadata)

    def batches(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Rows of the shapefile.

        Args:
            batches: Rows of the table.

        Raises:
            ConfigError: A text is too long, the encoding cannot write a text, a number has too many digits, or the file
                would be larger than 2 GiB.
        """
        for batch in batches:
            self._require_size(batch)
            columns = [self._column(batch.column(place), field) for place, field in enumerate(self.schema)]
            yield pa.record_batch(columns, schema=self.schema)

    def _require_size(self, batch: pa.RecordBatch) -> None:
        polygons = shapely.from_wkb(batch.column("geometry").to_numpy(zero_copy_only=False))
        rings = shapely.get_num_interior_rings(polygons) + 1
        vertices = shapely.get_num_coordinates(polygons)
        self._sizes += (
            _RECORD_BYTES * len(polygons) + 4 * rings.sum() + 16 * vertices.sum(),
            self._row_bytes * len(polygons),
        )
        if self._sizes.max() > MOST_BYTES:
            raise ConfigError(
                f"{self._path}: would be larger than 2 GiB, the limit of a shapefile; write a .gdb or .gpkg, or "
                "fewer polygons"
            )

    def _column(self, values: pa.Array, field: pa.Field) -> pa.Array:
        try:
            if pa.types.is_decimal(field.type):
                known = pc.if_else(pc.is_finite(values), values, pa.scalar(None, values.type))
                return known.cast(pa.float64()).cast(field.type)
            if pa.types.is_string(field.type):
                values = values.cast(pa.string())
                self._require_text(values, field)
            elif field.type == pa.int64():
                self._require_digits(values, field)
            return values.cast(field.type)
        except pa.ArrowInvalid as error:
            raise ConfigError(
                f"{self._path}: a value of column '{field.name}' does not fit a column of type {field.type} "
                f"({str(error)[:100]}); write a .gpkg"
            ) from error

    def _require_text(self, values: pa.Array, field: pa.Field) -> None:
        width = int(field.metadata[WIDTH])
        # Most columns are ASCII, with one byte for each character, and need no loop.
        if (pc.max(pc.binary_length(values)).as_py() or 0) <= width and (
            self._encoding == "utf-8" or pc.all(pc.string_is_ascii(values)).as_py() is not False
        ):
            return
        for text in values.to_pylist():
            if text is None:
                continue
            try:
                size = len(text.encode(self._encoding))
            except UnicodeEncodeError as error:
                raise ConfigError(
                    f"{self._path}: '{text[:40]}' in column '{field.name}' has the character '{text[error.start]}', "
                    f"which {self._encoding.upper()} cannot write; correct it, or use encoding utf-8 or a .gpkg"
                ) from error
            if size > width:
                raise ConfigError(
                    f"{self._path}: '{text[:40]}' in column '{field.name}' has {size} bytes in "
                    f"{self._encoding.upper()}; wanted at most {width}; shorten it or write a .gpkg"
                )

    def _require_digits(self, values: pa.Array, field: pa.Field) -> None:
        most = 10 ** int(field.metadata[WIDTH]) - 1
        for value in (pc.min(values).as_py(), pc.max(values).as_py()):
            if value is not None and not -most // 10 <= value <= most:
                raise ConfigError(
                    f"{self._path}: {value} in column '{field.name}' has more digits than a shapefile holds exactly "
                    f"({len(str(most))}); write a .gpkg, or make the column text"
                )


def _dbf_width(field: pa.Field) -> int:
    if pa.types.is_decimal(field.type):
        return int(field.type.precision) + 2
    metadata = field.metadata or {}
    if WIDTH in metadata:
        return int(metadata[WIDTH])
    return 1 if pa.types.is_boolean(field.type) else 8 if pa.types.is_date(field.type) else _INTEGER32_WIDTH
