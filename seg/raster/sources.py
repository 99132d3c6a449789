"""Files behind a raster, including nested VRTs: checksums that show changes, and checks before a file is replaced."""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import rasterio
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader

from seg.errors import ConfigError, RasterError
from seg.files import SOFTWARE, sha256, short_hash
from seg.raster.grid import is_vrt, open_raster, source_files
from seg.raster.remote import gdal_name, is_remote, is_virtual

_PREFIXES = re.compile(r"(vrt://|/vsi[a-z0-9]+/)+")
"""Prefix of GDAL names that wrap a file, such as `/vsizip/scenes.zip/a.tif` and `vrt://a.tif?bands=1`."""

_SEPARATORS = re.compile(r"[:,?{}\"]")
"""Separators around the file in GDAL names such as `NETCDF:"a.nc":values` and `/vsisubfile/0_100,a.tif`."""

BESIDE = (".aux.xml", ".ovr")
"""Suffixes of files that viewers write; no pixel is read from them."""

_SAMPLED = 64
"""Largest number of tiles whose offsets and sizes enter the checksum."""


def image_files(image: Path) -> list[Path]:
    """Sorted existing files of a raster, including all direct and nested VRT sources.

    Raises:
        RasterError: GDAL cannot read the raster.
    """
    with open_raster(image) as dataset:
        found = set(_with_sources(source_files(dataset), {gdal_name(image)}))
    return sorted(found)


def reads_server(image: Path) -> bool:
    """True if a raster lies on a server, or is a VRT with a source on a server.

    Raises:
        RasterError: GDAL cannot read the VRT.
    """
    if is_remote(image) or not is_vrt(image):
        return is_remote(image)
    with open_raster(image) as dataset:
        return any(map(is_remote, source_files(dataset)))


def input_files(inputs: Iterable[Path | None]) -> list[Path]:
    """Existing files of all inputs. Unlike `image_files`, this function skips unreadable inputs.

    Args:
        inputs: Rasters, vector files or tables; folders, remote rasters and None are skipped.
    """
    found: set[Path] = set()
    for path in inputs:
        if path is None or is_remote(path) or path.is_dir():
            continue
        if path.is_file():
            found.add(path)
        try:
            found.update(image_files(path))
        except RasterError:
            continue  # Vector file or damaged raster; the code that reads it reports the error.
    return sorted(found)


def raster_sha256(path: Path) -> str | None:
    """SHA-256 of a raster's file, or of the file that holds it, such as an archive; None for a raster on a server."""
    if path.is_file():
        return sha256(path)
    files = [] if is_remote(path) else image_files(path)
    return sha256(files[0]) if files else None


def require_apart(outputs: Iterable[Path], inputs: Iterable[Path | None]) -> None:
    """Check that no output overwrites an input file, not even through a link or another spelling of its path.

    Args:
        outputs: Files to write.
        inputs: Rasters, vector files or tables that the command reads; None is skipped.

    Raises:
        ConfigError: An output is an input, or one of the files of an input.
    """
    existing = [path for path in outputs if path.is_file()]
    if not existing:
        return
    ids = {_identity(file): file for file in input_files(inputs)}
    for output in existing:
        file = ids.get(_identity(output))
        if file is not None:
            problem = "is one of the inputs" if file == output else f"is the same file as the input {file}"
            raise ConfigError(f"{output}: {problem} and would be overwritten; name another output")


def require_own_raster(path: Path) -> None:
    """Check that a raster may be replaced: it is absent, empty, or was written by this software.

    Raises:
        ConfigError: The file has no tag of this software.
    """
    if not path.is_file() or not path.stat().st_size:
        return
    try:
        with open_raster(path) as dataset:
            ours = str(dataset.tags().get("SOFTWARE", "")).startswith(SOFTWARE)
    except RasterError:
        ours = False
    if not ours:
        raise ConfigError(
            f"{path}: was not written by {SOFTWARE}, so it is not replaced; move it or name another output"
        )


def require_replaceable(path: Path) -> None:
    """Check that a file may be replaced: it is absent, empty, or was written by this software.

    Files of this software are recognised by its name in JSON documents, in pages and in the metadata of pictures.

    Args:
        path: A file to write whose name ends in .json, .html or .png.

    Raises:
        ConfigError: Another program wrote the file.
        OSError: The file cannot be read.
    """
    if not path.is_file() or not path.stat().st_size:
        return
    content = path.read_bytes()
    if path.suffix.lower() == ".json":
        ours = _names_software(content)
    else:
        marks = {".html": f'class="product">{SOFTWARE}'.encode(), ".png": b"tEXtSoftware\0" + SOFTWARE.encode()}
        ours = marks[path.suffix.lower()] in content
    if not ours:
        raise ConfigError(
            f"{path}: was not written by {SOFTWARE}, so it is not replaced; move it or name another output"
        )


def _names_software(content: bytes) -> bool:
    try:
        document = json.loads(content)
        return bool(document["software"]["name"] == SOFTWARE)
    except (ValueError, TypeError, KeyError, RecursionError):
        return False


def _identity(path: Path) -> tuple[int, int]:
    """Device and inode of a file; equal for all links to it and all spellings of its path."""
    state = path.stat()
    return state.st_dev, state.st_ino


def _with_sources(names: Iterable[str], seen: set[str]) -> Iterator[Path]:
    for name in names:
        path = _local_file(name)
        if path is not None:
            yield path
        if name in seen or is_remote(name) or (path is not None and path == Path(name) and not is_vrt(path)):
            continue
        seen.add(name)
        try:
            with rasterio.open(name) as dataset:
                inner = source_files(dataset)
        except RasterioError:
            continue  # Missing or damaged source; the code that reads its pixels reports the error.
        yield from _with_sources(inner, seen)


def _local_file(name: str) -> Path | None:
    """The local file behind a GDAL name: the named file, the archive that contains it, or None."""
    rest = _PREFIXES.sub("", name, count=1)
    for candidate in (name, rest, *_SEPARATORS.split(rest)):
        path = Path(candidate)
        for file in (path, *path.parents):
            if candidate and file.is_file():
                return file
    return None


def scene_version(path: Path) -> str | None:
    """A checksum of the names, sizes and times of all files of a raster, including the sources of nested mosaics.

    For a raster on a server, this is the checksum of `layout_of`.

    Args:
        path: The raster.

    Returns:
        16 hexadecimal digits; None if the path names a local file that does not exist.

    Raises:
        RasterError: GDAL cannot read the raster.
    """
    if is_remote(path):
        with open_raster(path) as dataset:
            return layout_of(dataset)
    if not (path.exists() or is_virtual(path)):
        return None
    files = [file for file in image_files(path) if not file.name.endswith(BESIDE)]
    states = [(file, file.stat()) for file in files]
    return short_hash("".join(f"{file} {state.st_size, state.st_mtime_ns}\n" for file, state in states))


def layout_of(dataset: DatasetReader) -> str:
    """Checksum of a raster's storage, 16 hexadecimal digits; the checksum changes if another file replaces the raster.

    GDAL does not report when a file on a server was changed. In a compressed TIFF, changed pixels change the sizes of
    tiles. The checksum covers the offsets and sizes of up to 64 evenly spread tiles.

    Args:
        dataset: The open raster.
    """
    height, width = dataset.block_shapes[0]
    rows, columns = -(-dataset.height // height), -(-dataset.width // width)
    count = rows * columns
    tiles = [divmod(step * (count - 1) // max(_SAMPLED - 1, 1), columns) for step in range(min(_SAMPLED, count))]
    stored = [_stored(dataset, row, column) for row, column in dict.fromkeys(tiles)]
    described = (dataset.profile["driver"], dataset.shape, dataset.dtypes, tuple(dataset.transform), stored)
    return short_hash(repr((described, sorted(dataset.tags().items()))))


def _stored(dataset: DatasetReader, row: int, column: int) -> tuple[str | None, ...]:
    return tuple(dataset.get_tag_item(f"BLOCK_{what}_{column}_{row}", "TIFF", bidx=1) for what in ("OFFSET", "SIZE"))
