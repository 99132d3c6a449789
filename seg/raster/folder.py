"""Find raster files in a folder by their suffixes, and match files by their stems."""

import glob
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from seg.errors import DatasetError

GEOTIFF_SUFFIXES = (".tif", ".tiff")
"""Suffixes of GeoTIFF files."""

_JPEG = (".jpg", ".jpeg")
_BINARY = (".dat", ".bsq", ".bil", ".bip", "")
"""Suffixes of raw binary rasters, such as ENVI's; they count as rasters only beside a `.hdr` file."""

RASTER_SUFFIXES = (*GEOTIFF_SUFFIXES, ".vrt", ".jp2", ".img", ".png", *_JPEG, ".bmp", ".pix", *_BINARY[:-1])
"""Suffixes of the files in a folder that count as rasters. Other rasters must be given by their path."""

_SIDECARS = {".hdr", ".xml", ".txt", ".csv", ".json", ".md", ".msk", ".ovr", ".prj"}
"""Suffixes of sidecar files, which hold no pixels."""


def files_in(folder: Path, suffixes: Collection[str] = RASTER_SUFFIXES) -> list[Path]:
    """Sorted files of a folder with the given suffixes, without hidden files such as resource forks of macOS.

    A binary raster, which may lack a suffix, counts only with its `.hdr` file. A JPEG does not count if it is the
    preview of another raster: providers deliver `a.jpg` and `a_thumb.jpg` with `a.tiff`.

    Args:
        folder: An existing folder.
        suffixes: Suffixes in lower case; suffixes of files are compared without case.
    """
    wanted = {*suffixes, *(_BINARY if set(_BINARY) & set(suffixes) else ())}
    entries = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
    names = {path.name.lower() for path in entries}
    found = [path for path in entries if path.suffix.lower() in wanted and _has_header(path, names)]
    stems = {path.stem.lower() for path in found if path.suffix.lower() not in _JPEG}
    return [path for path in found if not (path.suffix.lower() in _JPEG and _previewed_stem(path) in stems)]


def unrecognised_file(folder: Path, stem: str) -> Path | None:
    """First file with a stem that is neither a raster nor a sidecar by its suffix; None if there is no such file."""
    read = set(files_in(folder))
    return next((path for path in sorted(folder.glob(f"{glob.escape(stem)}.*")) if _looks_like_data(path, read)), None)


def _looks_like_data(path: Path, read: set[Path]) -> bool:
    suffix = path.suffix.lower()
    # The suffix of a world file is made from the raster's suffix (.tfw, .jgw, .pgw), or is .wld.
    return path.is_file() and path not in read and suffix not in _SIDECARS and not suffix.endswith(("w", "wld"))


def _has_header(path: Path, names: set[str]) -> bool:
    """True if a file needs no `.hdr` file, or if its `.hdr` file is among the names."""
    if path.suffix.lower() not in _BINARY:
        return True
    return path.is_file() and not names.isdisjoint({f"{path.name}.hdr".lower(), f"{path.stem}.hdr".lower()})


def _previewed_stem(preview: Path) -> str:
    """Lower-case stem of the raster that a JPEG with this name would preview."""
    return preview.stem.lower().removesuffix("_thumb")


def first_by_stem(files: Iterable[Path]) -> dict[str, Path]:
    """Map each stem to the first file with that stem, in the given order."""
    found: dict[str, Path] = {}
    for path in files:
        found.setdefault(path.stem, path)
    return found


def by_stem(files: Sequence[Path]) -> dict[str, Path]:
    """Map each stem to its file, in the given order.

    Raises:
        DatasetError: Two files share a stem.
    """
    found = first_by_stem(files)
    for path in files:
        if found[path.stem] != path:
            raise DatasetError(f"{path}: has the same stem as {found[path.stem].name}; rename one of them")
    return found
