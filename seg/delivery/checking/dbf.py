"""Read the columns of a DBF table, and find text that is not in its encoding."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from seg.errors import RasterError

_HEADER, _DESCRIPTOR = 32, 32
_KINDS = {"C": "text", "N": "real", "F": "real", "D": "date", "L": "logical"}
_RECORDS_AT_ONCE = 65_536


@dataclass(frozen=True)
class DbfColumn:
    """A column of a DBF table.

    Attributes:
        name: Decoded name; bytes that are not in the encoding are replaced.
        kind: text, integer, real, date or logical.
        width: Width in bytes.
        decimals: Digits after the point.
        offset: First byte in a record.
    """

    name: str
    kind: str
    width: int
    decimals: int
    offset: int


class DbfTable:
    """A DBF table.

    Args:
        path: The .dbf file.
        encoding: Wanted encoding of names and text.

    Attributes:
        columns: Columns in their order.

    Raises:
        RasterError: The file is not a DBF table.
    """

    def __init__(self, path: Path, encoding: str) -> None:
        self._path, self._encoding = path, encoding
        try:
            with path.open("rb") as file:
                head = file.read(_HEADER)
                self._records, self._start, self._size = struct.unpack("<IHH", head[4:12])
                descriptors = file.read(self._start - _HEADER - 1)
        except (OSError, struct.error) as error:
            raise RasterError(f"{path}: not a readable DBF table; write the shapefile again") from error
        self.columns: list[DbfColumn] = []
        self._broken_names: list[str] = []
        offset = 1
        for place in range(0, len(descriptors) - _DESCRIPTOR + 1, _DESCRIPTOR):
            raw = descriptors[place : place + _DESCRIPTOR]
            name = raw[:11].split(b"\0")[0]
            if not _decodes(name, encoding):
                self._broken_names.append(name.decode(encoding, errors="replace"))
            kind = _KINDS.get(chr(raw[11]), chr(raw[11]))
            kind = "integer" if kind == "real" and not raw[17] else kind
            self.columns.append(DbfColumn(name.decode(encoding, errors="replace"), kind, raw[16], raw[17], offset))
            offset += raw[16]

    def broken_names(self) -> list[str]:
        """Names that are not in the encoding."""
        return self._broken_names

    def broken_texts(self) -> Iterator[tuple[int, str, str]]:
        """Yield values that are not in the encoding: number of the record from 0, column, and text with replaced bytes.

        Raises:
            RasterError: The file cannot be read.
        """
        texts = [column for column in self.columns if column.kind == "text"]
        try:
            with self._path.open("rb") as file:
                file.seek(self._start)
                for first in range(0, self._records, _RECORDS_AT_ONCE):
                    block = file.read(self._size * min(_RECORDS_AT_ONCE, self._records - first))
                    if block.isascii():
                        continue
                    for number in range(len(block) // self._size):
                        record = block[number * self._size : (number + 1) * self._size]
                        for column in texts:
                            raw = record[column.offset : column.offset + column.width]
                            if not _decodes(raw, self._encoding):
                                shown = raw.rstrip(b" \0").decode(self._encoding, errors="replace")
                                yield first + number, column.name, shown
        except OSError as error:
            raise RasterError(f"{self._path}: cannot be read ({error.strerror})") from error


def _decodes(raw: bytes, encoding: str) -> bool:
    try:
        raw.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
