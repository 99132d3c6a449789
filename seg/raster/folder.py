"""Find raster files in a folder by suffix and stem, and find the rasters that a user names."""

import glob
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from seg.errors import DatasetError, RasterError
from seg.files import read_text
from seg.raster.remote import is_remote, is_virtual

GEOTIFF_SUFFIXES = (".tif", ".tiff")
"""Suffixes of GeoTIFF files."""

_JPEG = (".jpg", ".jpeg")
_BINARY = (".dat", ".bsq", ".bil", ".bip", "")
"""Suffixes of raw binary rasters, such as ENVI's; they count as rasters only beside a `.hdr` file."""

RASTER_SUFFIXES = (*GEOTIFF_SUFFIXES, ".vrt", ".jp2", ".img", ".png", *_JPEG, ".bmp", ".pix", *_BINARY[:-1])
"""Suffixes of the files in a folder that count as rasters. Other rasters must be given by their path."""

LIST = ".txt"
"""Suffix of a file that lists scenes."""

_SIDECARS = {".hdr", ".xml", ".txt", ".csv", ".json", ".md", ".msk", ".ovr", ".prj"}
"""Suffixes of sidecar files, which hold no pixels."""


def files_in(folder: Path, suffixes: Collection[str] = RASTER_SUFFIXES) -> list[Path]:
    """Sorted files of a folder with the given suffixes, without hidden files such as resource forks of macOS.

    A binary raster counts only if it has a `.hdr` file; the raster itself may lack a suffix. A JPEG does not count if
    it is the preview of another raster: providers deliver `a.jpg` and `a_thumb.jpg` with `a.tiff`.

    Args:
        folder: An existing folder.
        suffixes: Suffixes in lower case; files with these suffixes in upper case are found too.
    """
    wanted = {*suffixes, *(_BINARY if set(_BINARY) & set(suffixes) else ())}
    entries = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
    names = {path.name.lower() for path in entries}
    found = [path for path in entries if path.suffix.lower() in wanted and _has_header(path, names)]
    stems = {path.stem.lower() for path in found if path.suffix.lower() not in _JPEG}
    return [path for path in found if not (path.suffix.lower() in _JPEG and _previewed_stem(path) in stems)]


def unrecognised_file(folder: Path, stem: str) -> Path | None:
    """First file with a given stem that is neither a raster nor a sidecar file; None if there is none."""
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


@dataclass(frozen=True)
class Inputs:
    """The scenes of a command line.

    Attributes:
        scenes: The scenes, in the order in which they are mapped.
        several: True if the input is a folder, a pattern, a list or several names; the output is then a folder.
        makers: Function that writes a scene, for each scene that must be made from a product before it can be read.
    """

    scenes: Sequence[Path]
    several: bool
    makers: Mapping[Path, Callable[[], object]] = field(default_factory=dict)


def named_scenes(names: Sequence[Path]) -> Inputs:
    """Find all input scenes.

    Args:
        names: Scenes, addresses of scenes, folders, patterns such as `scenes/*.tif` (`**` for nested folders), or a
            text file with a path or an address on each line. In a text file, `#` begins a comment, and relative paths
            start at the file's folder.

    Raises:
        RasterError: A folder, a pattern or a list contains no scene, or a list cannot be read.
    """
    found = [_scenes(name) for name in names]
    several = len(found) > 1 or any(inputs.several for inputs in found)
    return Inputs([scene for inputs in found for scene in inputs.scenes], several)


def _scenes(path: Path) -> Inputs:
    if is_remote(path):
        return Inputs([path], several=False)
    if path.is_dir():
        otherwise = f"{path}: holds no scene; wanted files ending in {', '.join(RASTER_SUFFIXES)}"
        return Inputs(_nonempty(files_in(path), otherwise), True)
    if path.suffix.lower() == LIST and path.is_file():
        return Inputs(
            _nonempty(_listed(path), f"{path}: lists no scene; wanted a path or an address on each line"), True
        )
    if glob.has_magic(str(path)) and not (path.exists() or is_virtual(path)):
        matching = sorted(file for file in Path(path.anchor).glob(str(path.relative_to(path.anchor))) if file.is_file())
        return Inputs(_nonempty(matching, f"{path}: no file matches; check the pattern"), True)
    return Inputs([path], several=False)


def _listed(path: Path) -> list[Path]:
    try:
        text = read_text(path)
        if "\0" in text:
            raise ValueError("it holds a NUL byte")
    except (OSError, ValueError) as error:
        raise RasterError(f"{path}: not readable as a list of scenes ({error}); wanted text in UTF-8 or GBK") from error
    named = [Path(line.strip()) for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return [scene if is_remote(scene) or is_virtual(scene) else path.parent / scene for scene in named]


def _nonempty(scenes: list[Path], otherwise: str) -> list[Path]:
    if not scenes:
        raise RasterError(otherwise)
    return scenes
