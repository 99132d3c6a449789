"""Points of a sample: the GeoPackage for interpreters, and the references that interpreters fill in."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import geopandas
import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj import CRS, Transformer

from seg.errors import DatasetError
from seg.files import complete_or_absent, writing
from seg.raster.grid import Grid
from seg.raster.ground.outlines import on_map
from seg.raster.vectors.features import FALLBACK, quiet_library
from seg.terminal.text import counted

POINTS_LAYER = "points"
PIXELS_LAYER = "pixels"
LONGEST = 40
"""Largest number of characters of a wrong reference in a message."""

REFERENCE = "reference"
SUGGESTED = "suggested"
"""Layer and column of squares that `prepare.py suggest` writes."""

_CORNERS = ((0, 0), (1, 0), (1, 1), (0, 1))
"""Corners of a pixel, as offsets in columns and rows from its upper left corner."""


@dataclass(frozen=True)
class References:
    """References that interpreters filled in.

    Attributes:
        path: The file.
        ids: (N,) number of each point.
        texts: Trimmed text of each point's reference column; empty if the reference is not filled in.
        place: (N, 2) row and column of each pixel; None if the file lacks these columns.
    """

    path: Path
    ids: NDArray[np.int64]
    texts: list[str]
    place: NDArray[np.int64] | None


def write_points(path: Path, grid: Grid, row: NDArray[np.int64], column: NDArray[np.int64]) -> None:
    """Write a GeoPackage with a layer of points that will be interpreted, and a layer of pixel outlines.

    A point has id (from 1), lon and lat (WGS 84), row, column and the empty text column `reference`. The mapped class
    and the stratum of a point are left out, since this knowledge would bias the interpreter.

    Args:
        path: The file, written atomically.
        grid: Grid of the map, with a CRS.
        row: (N,) row of each pixel, from 0.
        column: (N,) column of each pixel, from 0.

    Raises:
        WriteError: The file cannot be written.
    """
    crs = CRS.from_wkt(grid.crs.to_wkt()) if grid.crs is not None else None
    x, y = on_map(grid, np.asarray(np.column_stack([column, row]) + 0.5, dtype=np.float64)).T
    lon, lat = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(x, y)
    ids = np.arange(1, len(row) + 1)
    columns = {
        "id": ids,
        "lon": np.round(lon, 8),
        "lat": np.round(lat, 8),
        "row": row,
        "column": column,
        REFERENCE: np.full(len(row), None, dtype=object),
    }
    corners = [on_map(grid, np.column_stack([column + right, row + down])) for right, down in _CORNERS]
    outlines = shapely.polygons(np.stack(corners, axis=1))
    points = geopandas.GeoDataFrame(columns, geometry=shapely.points(x, y), crs=crs)
    pixels = geopandas.GeoDataFrame({"id": ids}, geometry=outlines, crs=crs)
    with complete_or_absent(path) as unfinished, writing(path, DataSourceError, DataLayerError):
        pyogrio.write_dataframe(points, unfinished, layer=POINTS_LAYER, driver="GPKG")
        pyogrio.write_dataframe(pixels, unfinished, layer=PIXELS_LAYER, driver="GPKG", append=True)


def read_references(path: Path, encoding: str | None = None) -> References:
    """Read the references of points from a file with the columns id and reference.

    Args:
        path: A GeoPackage, GeoJSON, CSV or another table that GDAL reads.
        encoding: Encoding of the text. None: the encoding that the file states, or GB18030 if decoding fails.

    Raises:
        DatasetError: The file is missing, unreadable or lacks a column, or its ids are not unique whole numbers.
    """
    if not path.exists():
        raise DatasetError(f"{path}: no such file; give the drawn points, with their references filled in")
    try:
        with quiet_library():
            layers = [str(name) for name, _ in pyogrio.list_layers(path)]
            layer = POINTS_LAYER if POINTS_LAYER in layers else layers[0]
            frame = _table(path, layer, encoding)
    except (DataSourceError, DataLayerError, IndexError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DatasetError(f"{path}: not readable ({reason}); wanted GeoPackage, GeoJSON or CSV in UTF-8") from error
    columns = {str(name).strip().casefold(): frame[name] for name in frame.columns}
    if SUGGESTED in columns or layer == SUGGESTED:
        raise DatasetError(
            f"{path}: holds squares that prepare.py suggest picked, which bias an estimate of areas; wanted a random "
            "sample, which evaluate.py sample draws"
        )
    missing = [name for name in ("id", REFERENCE) if name not in columns]
    if missing:
        raise DatasetError(
            f"{path}: has no column '{missing[0]}' (columns: {', '.join(columns) or 'none'}); export the points "
            f"with id and {REFERENCE}"
        )
    ids = _integers(path, "id", columns["id"])
    if len(np.unique(ids)) < len(ids):
        twice, counts = np.unique(ids, return_counts=True)
        raise DatasetError(f"{path}: has point {twice[counts > 1][0]} more than once; keep one row for each point")
    place = None
    if {"row", "column"} <= columns.keys():
        place = np.column_stack([_integers(path, name, columns[name]) for name in ("row", "column")])
    return References(path, ids, [_text(value) for value in columns[REFERENCE]], place)


def _table(path: Path, layer: str, encoding: str | None) -> geopandas.GeoDataFrame:
    """Columns of a layer. Text that cannot be decoded is read as GB18030, since Chinese spreadsheets often use it."""
    try:
        return pyogrio.read_dataframe(path, layer=layer, read_geometry=False, encoding=encoding)
    except UnicodeDecodeError:
        return pyogrio.read_dataframe(path, layer=layer, read_geometry=False, encoding=FALLBACK)


def read_labels(references: References, classes: Mapping[int, str]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(N,) class of each point, -1 if the reference is empty; (N,) True for points whose reference is filled in.

    A reference is the number or the name of a class, in upper or lower case.

    Args:
        references: References of the points.
        classes: Names of the classes by number.

    Raises:
        DatasetError: A reference is not one of the classes.
    """
    numbers = {str(label): label for label in classes} | {name.casefold(): label for label, name in classes.items()}
    keys = [text.casefold() for text in references.texts]
    filled = np.array([text != "" for text in keys])
    unknown = np.array([text != "" and text not in numbers for text in keys])
    if unknown.any():
        values = sorted({text for text, wrong in zip(references.texts, unknown, strict=True) if wrong})
        wanted = ", ".join(f"{label} ({name})" for label, name in classes.items())
        raise DatasetError(
            f"{references.path}: {named_points(references.ids[unknown])} with an unknown class as reference, such as "
            f"'{values[0][:LONGEST]}'; wanted {wanted}"
        )
    return np.array([numbers.get(text, -1) for text in keys], dtype=np.int64), filled


def named_points(ids: NDArray[np.int64]) -> str:
    """Text with the number of points and the first ids: "12 points (3, 8, 21, 22, 40, ...)"."""
    first = ", ".join(str(number) for number in np.sort(ids)[:5].tolist())
    return f"{counted(len(ids), 'point')} ({first}{', ...' if len(ids) > 5 else ''})"


def _integers(path: Path, name: str, values: object) -> NDArray[np.int64]:
    try:
        numbers = np.asarray(values, dtype=np.float64)
        with np.errstate(invalid="ignore"):
            integers = numbers.astype(np.int64)
        if (integers == numbers).all():
            return integers
    except (TypeError, ValueError):
        pass
    raise DatasetError(
        f"{path}: column '{name}' has a value that is not a whole number; restore it from the drawn points"
    )


def _text(value: object) -> str:
    """Cell as text; 1.0 becomes "1", since a column of whole numbers with gaps is stored as floats."""
    if value is None or (not isinstance(value, str) and str(value) in ("nan", "NaT")):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    # A spreadsheet column that once had gaps may contain "1.0" as text.
    text = str(value).strip()
    return text.removesuffix(".0") if text.removesuffix(".0").isdecimal() else text
