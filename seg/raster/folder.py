"""Raster files of a folder, told by the endings of their names and matched by their stems."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from seg.errors import DatasetError

GEOTIFF_SUFFIXES = (".tif", ".tiff")
"""Endings of a GeoTIFF's name."""

RASTER_SUFFIXES = (*GEOTIFF_SUFFIXES, ".vrt", ".jp2", ".img", ".png")
"""Endings of the files in a folder that are taken for rasters. Any other raster can be named by its path."""


def files_in(folder: Path, suffixes: Collection[str] = RASTER_SUFFIXES) -> list[Path]:
    """The files of a folder whose names end so, sorted.

    Args:
        folder: An existing folder.
        suffixes: Endings in lower case; those of the files may be in upper case.
    """
    return [path for path in sorted(folder.iterdir()) if path.suffix.lower() in suffixes]


def first_by_stem(files: Iterable[Path]) -> dict[str, Path]:
    """Files by their stems, in the given order; of several with one stem, the first."""
    found: dict[str, Path] = {}
    for path in files:
        found.setdefault(path.stem, path)
    return found


def by_stem(files: Sequence[Path]) -> dict[str, Path]:
    """Files by their stems, in the given order.

    Raises:
        DatasetError: Two files share a stem.
    """
    found = first_by_stem(files)
    for path in files:
        if found[path.stem] != path:
            raise DatasetError(f"{path}: has the same stem as {found[path.stem].name}; rename one of them")
    return found
