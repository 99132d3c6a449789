"""Temporary database of parcels on disk, to find parcels by location and write them in order."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely

from seg.parcels.corners import Integers
from seg.parcels.selection import Parcels
from seg.raster.chips import Polygons
from seg.raster.ground.outlines import Floats

READ_AT_ONCE = 1000
"""Number of parcels in memory at a time while the spool is read."""

_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE parcels (
    first_pixel INTEGER PRIMARY KEY, unit INTEGER, area REAL, perimeter REAL,
    valid INTEGER, percent INTEGER, uncertain INTEGER, outline BLOB
);
CREATE TABLE simplified (first_pixel INTEGER PRIMARY KEY, area REAL, perimeter REAL, outline BLOB);
CREATE TABLE filled (outline BLOB);
CREATE VIRTUAL TABLE boxes USING rtree_i32 (first_pixel, west, east, north, south);
"""
_WITHIN_BOX = "west >= ? AND north >= ? AND east <= ? AND south <= ?"
_ACROSS_BOX = "east >= ? AND south >= ? AND west <= ? AND north <= ?"


@dataclass(frozen=True)
class SpooledParcels:
    """Parcels in the order of their first pixels.

    Attributes:
        polygons: (P,) outlines on the pixel lattice.
        first_pixels: (P,) first pixel of each parcel in row-major order, as row times width plus column.
        sizes: (P, 2) area in square metres and perimeter in metres.
        tallies: (P, TALLIES) counts in each parcel.
    """

    polygons: Polygons
    first_pixels: Integers
    sizes: Floats
    tallies: Integers


class Spool:
    """Parcels of one map in a temporary database.

    Args:
        database: Connection to an empty database; `opened` creates one.
        width: Columns of the raster.
        boxes: True to index parcels by location.
    """

    def __init__(self, database: sqlite3.Connection, width: int, boxes: bool) -> None:
        self._database, self._width, self._boxes = database, width, boxes
        database.executescript(_TABLES)

    @classmethod
    @contextmanager
    def opened(cls, path: Path, width: int, boxes: bool) -> Iterator["Spool"]:
        """Context with a new spool in a file.

        Args:
            path: The file.
            width: Columns of the raster.
            boxes: True to index parcels by location; `drop_filled` and `others_near` need the index.

        Raises:
            sqlite3.Error: The file cannot be written, for example on a full disk.
        """
        database = sqlite3.connect(path, isolation_level=None)
        try:
            yield cls(database, width, boxes)
        finally:
            database.close()

    def add(self, parcels: Parcels) -> None:
        """Add parcels, in any order."""
        first = parcels.first_pixels.tolist()
        numbers = (parcels.units, *parcels.sizes.T, *parcels.tallies.T)
        rows = zip(first, *(column.tolist() for column in numbers), _encoded(parcels.polygons), strict=True)
        self._database.execute("BEGIN")
        self._database.executemany("INSERT INTO parcels VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        self._database.executemany("INSERT INTO filled VALUES (?)", ((hole,) for hole in _encoded(parcels.filled)))
        if self._boxes:
            west, north, east, south = shapely.bounds(parcels.polygons).astype(int).reshape(-1, 4).T.tolist()
            boxes = zip(first, west, east, north, south, strict=True)
            self._database.executemany("INSERT INTO boxes VALUES (?, ?, ?, ?, ?)", boxes)
        self._database.execute("COMMIT")

    def drop_filled(self) -> None:
        """Remove parcels that lie in filled holes of other parcels."""
        for (blob,) in self._database.execute("SELECT outline FROM filled"):
            hole = shapely.from_wkb(blob)
            query = f"SELECT first_pixel FROM boxes WHERE {_WITHIN_BOX}"
            found = np.array([row[0] for row in self._database.execute(query, hole.bounds)], dtype=np.int64)
            rows, columns = np.divmod(found, self._width)
            within = found[shapely.contains_xy(hole, columns + 0.5, rows + 0.5)].tolist()
            for table in ("parcels", "boxes"):
                self._database.executemany(f"DELETE FROM {table} WHERE first_pixel = ?", ((pixel,) for pixel in within))

    def units(self) -> Iterator[tuple[int, Integers, Polygons]]:
        """Identifier of each unit of parcels, with the first pixels and the polygons of its parcels."""
        self._database.execute("CREATE INDEX by_unit ON parcels (unit)")
        for (unit,) in self._database.execute("SELECT DISTINCT unit FROM parcels ORDER BY unit"):
            query = "SELECT first_pixel, outline FROM parcels WHERE unit = ? ORDER BY first_pixel"
            pixels, outlines = zip(*self._database.execute(query, (unit,)), strict=True)
            yield unit, np.array(pixels, dtype=np.int64), shapely.from_wkb(np.array(outlines, dtype=object))

    def others_near(self, unit: int, polygon: shapely.Polygon) -> Iterator[Polygons]:
        """Polygons of other units whose bounding boxes intersect the bounding box of a polygon, in batches."""
        query = f"SELECT outline FROM boxes JOIN parcels USING (first_pixel) WHERE {_ACROSS_BOX} AND unit <> ?"
        cursor = self._database.execute(query, (*polygon.bounds, unit))
        while rows := cursor.fetchmany(READ_AT_ONCE):
            yield shapely.from_wkb(np.array([row[0] for row in rows], dtype=object))

    def put_simplified(self, first_pixels: Integers, polygons: Polygons, sizes: Floats) -> None:
        """Replace the outlines and sizes of parcels by simplified outlines and their sizes."""
        rows = zip(first_pixels.tolist(), *sizes.T.tolist(), _encoded(polygons), strict=True)
        self._database.executemany("INSERT INTO simplified VALUES (?, ?, ?, ?)", rows)

    def in_order(self) -> Iterator[SpooledParcels]:
        """All parcels in the order of their first pixels, in batches."""
        cursor = self._database.execute(
            "SELECT first_pixel, ifnull(simplified.area, parcels.area), "
            "ifnull(simplified.perimeter, parcels.perimeter), valid, percent, uncertain, "
            "ifnull(simplified.outline, parcels.outline) "
            "FROM parcels LEFT JOIN simplified USING (first_pixel) ORDER BY first_pixel"
        )
        while rows := cursor.fetchmany(READ_AT_ONCE):
            first, area, perimeter, *tallies, outlines = zip(*rows, strict=True)
            yield SpooledParcels(
                shapely.from_wkb(np.array(outlines, dtype=object)),
                np.array(first, dtype=np.int64),
                np.array([area, perimeter]).T,
                np.array(tallies, dtype=np.int64).T,
            )


def _encoded(polygons: Polygons) -> list[bytes]:
    encoded: list[bytes] = shapely.to_wkb(polygons).tolist()
    return encoded
