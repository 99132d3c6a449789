"""The table that lists a dataset's scenes, CSV or (Geo)Parquet: what each row says, in plain values."""

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import pyarrow
import pyarrow.parquet

from seg.errors import DatasetError

MANIFEST = "manifest.csv"
PARQUET_MANIFEST = "manifest.parquet"

SPLIT_FOLDS = {"train": 1, "val": 0, "test": 0}
"""The fold of each word of a split, so that holding fold 0 out, as is the default, holds out what was meant to be."""

_COLUMNS = ("image", "mask", "labels", "fold", "split", "weight", "quality")

Values = dict[str, object]


@dataclass(frozen=True)
class Row:
    """One scene of a manifest.

    Attributes:
        place: Which row it is, for messages.
        image: Path of the image as it is written.
        mask: Path of the mask as it is written.
        fold: The fold in which the scene is held out.
        weight: How much the scene counts where scenes are drawn by weight; above 0.
    """

    place: str
    image: str
    mask: str
    fold: int
    weight: float


def manifest_of(root: Path) -> Path | None:
    """The manifest of a dataset: the CSV, which `prepare.py split` writes, before the Parquet; None without one."""
    return next((root / name for name in (MANIFEST, PARQUET_MANIFEST) if (root / name).exists()), None)


def read_manifest(path: Path) -> list[Row]:
    """The rows of a manifest.

    Columns are image, mask, and fold or split (train, val or test; fold goes before); weight, or quality, is optional,
    and further columns, a geometry among them, are left alone.

    Raises:
        DatasetError: It cannot be read, lacks a column, or a row has a value that cannot work.
    """
    rows = manifest_rows(path)
    for row in rows:
        if isinstance(row, DatasetError):
            raise row
    return [row for row in rows if isinstance(row, Row)]


def manifest_rows(path: Path) -> list[Row | DatasetError]:
    """The rows of a manifest, and what is wrong with those that have a value that cannot work.

    Raises:
        DatasetError: It cannot be read, or lacks a column.
    """
    columns, rows = _read_parquet(path) if path.suffix == ".parquet" else _read_csv(path)
    fold = "split" if "split" in columns and "fold" not in columns else "fold"
    missing = {"image", "mask", fold} - columns - ({"mask"} if "labels" in columns else set())
    if missing:
        raise DatasetError(
            f"{path}: has no column {', '.join(sorted(missing))}; wanted image, mask, fold (or split: train, val, test)"
        )
    # Line 1 of a CSV names the columns.
    word, first = ("row", 1) if path.suffix == ".parquet" else ("line", 2)
    places = (f"{word} {number}" for number in range(first, first + len(rows)))
    found: list[Row | DatasetError] = []
    for place, row in zip(places, rows, strict=True):
        try:
            found.append(_row(path, place, row, fold))
        except DatasetError as problem:
            found.append(problem)
    return found


def further_columns(root: Path) -> dict[Path, dict[str, str]]:
    """What a dataset's manifest says beyond image, mask and fold: cells by image and column, none without a manifest.

    Of a CSV all columns; of a Parquet file those that mean something here, as further ones may be geometries. The
    vector labels of `labels` are given by their whole path.

    Raises:
        DatasetError: It cannot be read.
    """
    path = manifest_of(root)
    if path is None:
        return {}
    _, rows = _read_parquet(path) if path.suffix == ".parquet" else _read_csv(path)
    return {path.parent / str(row["image"]): _further(path.parent, row) for row in rows}


def _further(folder: Path, row: Values) -> dict[str, str]:
    # A line of a CSV that is longer than its header has the rest under None.
    taken = (None, "image", "mask", "fold", "split")
    cells = {name: "" if value is None else str(value) for name, value in row.items() if name not in taken}
    if cells.get("labels"):
        cells["labels"] = str((folder / cells["labels"]).absolute())
    return cells


def _read_csv(path: Path) -> tuple[set[str], list[Values]]:
    try:
        # Spreadsheets put a byte order mark before the first column's name; "-sig" takes it off.
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            return set(rows.fieldnames or ()), [dict(row) for row in rows]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path}: no CSV in UTF-8 ({error}); save it as such") from error


def _read_parquet(path: Path) -> tuple[set[str], list[Values]]:
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            columns = set(file.schema_arrow.names)
            # Only these: geometries may be large.
            return columns, file.read([name for name in _COLUMNS if name in columns]).to_pylist()
    except (OSError, pyarrow.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise DatasetError(f"{path}: no readable Parquet file ({reason}); write it again, or use {MANIFEST}") from error


def _row(path: Path, place: str, row: Values, fold: str) -> Row:
    image, mask = row.get("image"), row.get("mask")
    if row.get("labels") and not mask:
        raise DatasetError(
            f"{path}: {place} names labels ({row['labels']}) but no mask; burn them first, python scripts/prepare.py "
            "burn --image IMAGE --labels LABELS --output MASK, and name that mask"
        )
    number = _fold(row[fold], fold)
    if not isinstance(image, str) or not isinstance(mask, str) or number is None:
        wanted = "fold number" if fold == "fold" else f"split ({', '.join(SPLIT_FOLDS)})"
        values = [value for name, value in row.items() if name not in ("weight", "quality")]
        raise DatasetError(f"{path}: {place} is {values}; wanted image, mask, {wanted}")
    return Row(place, image, mask, number, _weight(path, place, row))


def _fold(value: object, column: str) -> int | None:
    """The fold that a cell means; None if it means none."""
    if column == "split":
        return SPLIT_FOLDS.get(str(value).strip().lower())
    if isinstance(value, float) and not value.is_integer():
        return None
    try:
        return int(value) if isinstance(value, (int, float, str)) else None
    except ValueError:
        return None


def _weight(path: Path, place: str, row: Values) -> float:
    """The weight of a row; 1 where its cell is empty."""
    column = "weight" if "weight" in row else "quality"
    value = row.get(column)
    if value is None or value == "":
        return 1.0
    try:
        weight = float(value) if isinstance(value, (int, float, str)) else math.nan
    except ValueError:
        weight = math.nan
    if not 0 < weight < math.inf:
        raise DatasetError(f"{path}: {place} has the {column} {value}; wanted a number above 0, or nothing for 1")
    return weight
