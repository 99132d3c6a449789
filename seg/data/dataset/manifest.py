"""Manifests: tables of a dataset's scenes in CSV or (Geo)Parquet."""

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

from seg.errors import DatasetError
from seg.files import read_text

MANIFEST = "manifest.csv"
PARQUET_MANIFEST = "manifest.parquet"

SPLIT_FOLDS = {"train": 1, "val": 0, "test": 0}
"""Fold of each split. Validation and test scenes are in fold 0, which is held out by default."""

_COLUMNS = ("image", "mask", "labels", "fold", "split", "weight", "quality")

LONGEST = 80
"""Largest number of characters of a cell that a message shows."""

Values = dict[str, object]


@dataclass(frozen=True)
class Row:
    """One scene of a manifest.

    Attributes:
        place: Position of the row, for messages.
        image: Path of the image as written.
        mask: Path of the mask as written; None for an unlabelled scene.
        fold: Fold in which the scene is held out; None for an unlabelled scene without a fold.
        weight: Weight of the scene in sampling by weight, above 0.
    """

    place: str
    image: str
    mask: str | None
    fold: int | None
    weight: float


def manifest_of(root: Path) -> Path | None:
    """Manifest of a dataset, or None; CSV takes precedence over Parquet, since `prepare.py split` writes CSV."""
    return next((root / name for name in (MANIFEST, PARQUET_MANIFEST) if (root / name).exists()), None)


def read_manifest(path: Path) -> list[Row]:
    """Read the rows of a manifest.

    Required columns are image, mask, and either fold or split (train, val or test); if both exist, fold is used. A
    column `weight`, or `quality` with the same meaning, is optional. Other columns, such as a geometry, are ignored. A
    row without a mask is an unlabelled scene; its fold may be empty.

    Raises:
        DatasetError: The file cannot be read, a column is missing, or a row has an invalid value.
    """
    rows = manifest_rows(path)
    for row in rows:
        if isinstance(row, DatasetError):
            raise row
    return [row for row in rows if isinstance(row, Row)]


def manifest_rows(path: Path) -> list[Row | DatasetError]:
    """Read the rows of a manifest; a row with an invalid value is replaced by its error.

    Raises:
        DatasetError: The file cannot be read, or a column is missing.
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
    """Cells of a manifest's further columns, by image and column; empty for a dataset without a manifest.

    The columns image, mask, fold and split are left out. From a Parquet file, only columns that this project uses are
    returned, because others may be geometries. Paths in the column `labels` become absolute.

    Raises:
        DatasetError: The file cannot be read.
    """
    path = manifest_of(root)
    if path is None:
        return {}
    _, rows = _read_parquet(path) if path.suffix == ".parquet" else _read_csv(path)
    return {path.parent / _written(path, str(row["image"])): _further(path.parent, row) for row in rows}


def listed_files(path: Path) -> set[str]:
    """Images and masks in a CSV manifest, as written; empty if the manifest cannot be read."""
    try:
        _, rows = _read_csv(path)
    except (OSError, DatasetError):
        return set()
    return {_written(path, str(row[column])) for row in rows for column in ("image", "mask") if row.get(column)}


def write_manifest(path: Path, rows: Iterable[Sequence[object]], further: Sequence[str] = ()) -> None:
    """Write a CSV manifest.

    Args:
        path: The file.
        rows: Image, mask and fold of each scene, then the cells of the further columns.
        further: Names of further columns.

    Raises:
        OSError: The file cannot be written.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["image", "mask", "fold", *further])
        table.writerows(rows)


def _further(folder: Path, row: Values) -> dict[str, str]:
    # csv.DictReader stores the surplus cells of a long line under None.
    taken = (None, "image", "mask", "fold", "split")
    cells = {name: "" if value is None else str(value) for name, value in row.items() if name not in taken}
    if cells.get("labels"):
        cells["labels"] = str((folder / cells["labels"]).absolute())
    return cells


def _read_csv(path: Path) -> tuple[set[str], list[Values]]:
    """Columns and rows of a CSV file; spreadsheets separate cells by commas, semicolons or tabs."""
    try:
        text = read_text(path)
        header = text.partition("\n")[0]
        rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count))
        return set(rows.fieldnames or ()), [dict(row) for row in rows]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path}: not a CSV file in UTF-8 or GBK ({error}); save it as CSV in UTF-8") from error


def _read_parquet(path: Path) -> tuple[set[str], list[Values]]:
    # Imported here because this import is slow, and most manifests are CSV.
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            columns = set(file.schema_arrow.names)
            # Other columns are not read, since geometries in them may be large.
            return columns, file.read([name for name in _COLUMNS if name in columns]).to_pylist()
    except (OSError, pyarrow.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise DatasetError(
            f"{path}: not a readable Parquet file ({reason}); write it again, or use {MANIFEST}"
        ) from error


def _row(path: Path, place: str, row: Values, fold: str) -> Row:
    image, mask = row.get("image"), row.get("mask")
    if row.get("labels") and not mask:
        raise DatasetError(
            f"{path}: {place} names labels ({row['labels']}) but no mask; burn the labels with python "
            "scripts/prepare.py burn --image IMAGE --labels LABELS --output MASK, and name that mask"
        )
    number = _fold(row[fold], fold)
    # In Parquet, None is an empty cell. In a CSV, None means that the line ends before this cell; such a line is
    # incomplete, so its scene does not count as unlabelled.
    unlabelled = mask == "" or (mask is None and path.suffix == ".parquet")
    if _is_path(image) and image and unlabelled and (number is not None or row[fold] in (None, "")):
        return Row(place, _written(path, image), None, number, _weight(path, place, row))
    if not _is_path(image) or not _is_path(mask) or number is None:
        wanted = "fold number" if fold == "fold" else f"split ({', '.join(SPLIT_FOLDS)})"
        values = [value for name, value in row.items() if name not in ("weight", "quality")]
        shown = [value if len(str(value)) <= LONGEST else f"{str(value)[:LONGEST]}..." for value in values]
        raise DatasetError(f"{path}: {place} is {shown}; wanted image, mask, {wanted}")
    return Row(place, _written(path, image), _written(path, mask), number, _weight(path, place, row))


def _written(path: Path, name: str) -> str:
    """A path of a row. Backslashes of Windows become slashes, unless a file with backslashes in its name exists."""
    return name.replace("\\", "/") if "\\" in name and not (path.parent / name).exists() else name


def _is_path(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and "\0" not in value


def _fold(value: object, column: str) -> int | None:
    """Fold of a cell; None if the cell is invalid."""
    if column == "split":
        return SPLIT_FOLDS.get(str(value).strip().lower())
    if isinstance(value, float) and not value.is_integer():
        return None
    try:
        return int(value) if isinstance(value, (int, float, str)) else None
    except ValueError:
        return None


def _weight(path: Path, place: str, row: Values) -> float:
    """Weight of a row; 1 if the cell is empty."""
    column = "weight" if "weight" in row else "quality"
    value = row.get(column)
    if value is None or value == "":
        return 1.0
    try:
        weight = float(value) if isinstance(value, (int, float, str)) else math.nan
    except ValueError:
        weight = math.nan
    if not 0 < weight < math.inf:
        raise DatasetError(f"{path}: {place} has the {column} {value}; wanted a number above 0, or an empty cell for 1")
    return weight
