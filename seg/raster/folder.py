"""Raster files of a folder, told by the endings of their names and matched by their stems."""

import glob
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from seg.errors import DatasetError

GEOTIFF_SUFFIXES = (".tif", ".tiff")
"""Endings of a GeoTIFF's name."""

_JPEG = (".jpg", ".jpeg")
_BINARY = (".dat", ".bsq", ".bil", ".bip", "")
"""Endings of binary rasters, such as ENVI's, which are taken only with a `.hdr` file beside them."""

RASTER_SUFFIXES = (*GEOTIFF_SUFFIXES, ".vrt", ".jp2", ".img", ".png", *_JPEG, ".bmp", ".pix", *_BINARY[:-1])
"""Endings of the files in a folder that are taken for rasters. Any other raster can be named by its path."""

_SIDECARS = {".hdr", ".xml", ".txt", ".csv", ".json", ".md", ".msk", ".ovr", ".prj"}
"""Endings of files beside a raster that hold no pixels of their own; also of world files and of `.partial` folders."""


def files_in(folder: Path, suffixes: Collection[str] = RASTER_SUFFIXES) -> list[Path]:
    """The files of a folder whose names end so, sorted, without hidden files such as resource forks of macOS.

    Among rasters, a binary file counts only with its `.hdr` file, also if its name has no ending, and a JPEG does not
    count if it is the preview of another raster: providers deliver `a.jpg` and `a_thumb.jpg` beside `a.tiff`.

    Args:
        folder: An existing folder.
        suffixes: Endings in lower case; those of the files may be in upper case.
    """
    wanted = {*suffixes, *(_BINARY if set(_BINARY) & set(suffixes) else ())}
    entries = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
    names = {path.name.lower() for path in entries}
    found = [path for path in entries if path.suffix.lower() in wanted and _has_header(path, names)]
    stems = {path.stem.lower() for path in found if path.suffix.lower() not in _JPEG}
    return [path for path in found if not (path.suffix.lower() in _JPEG and _pictured(path) in stems)]


def unread_of_stem(folder: Path, stem: str) -> Path | None:
    """A file of this stem that is not taken for a raster because of its ending, and is no sidecar; None without one."""
    read = set(files_in(folder))
    return next((path for path in sorted(folder.glob(f"{glob.escape(stem)}.*")) if _looks_like_data(path, read)), None)


def _looks_like_data(path: Path, read: set[Path]) -> bool:
    suffix = path.suffix.lower()
    # World files are named after the raster's ending: .tfw, .jgw, .pgw, .wld.
    return path.is_file() and path not in read and suffix not in _SIDECARS and not suffix.endswith(("w", "wld"))


def _has_header(path: Path, names: set[str]) -> bool:
    """True for files that need no `.hdr` file, and for those that have one of these names beside them."""
    if path.suffix.lower() not in _BINARY:
        return True
    return path.is_file() and not names.isdisjoint({f"{path.name}.hdr".lower(), f"{path.stem}.hdr".lower()})


def _pictured(preview: Path) -> str:
    """Stem, in lower case, of the raster that a JPEG could be a preview of."""
    return preview.stem.lower().removesuffix("_thumb")


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
