"""Files of a product in a folder, a ZIP archive or a TAR archive, read where they lie."""

import os
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from seg.errors import RasterError
from seg.files import LONGEST

LARGEST_METADATA = 64 * 2**20
"""Size in bytes of the largest metadata file that is read. A larger file may be a decompression bomb."""

DEEPEST = 6
"""Largest number of folders between a product's folder and its files."""

COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
"""Endings of archives that are compressed as a whole. To read one window, GDAL would unpack the whole archive."""

ARCHIVES = (".zip", ".tar", *COMPRESSED)
"""Endings of the names of archives, in lower case."""


@dataclass(frozen=True)
class Container:
    """Files of a product.

    Attributes:
        path: The folder or archive.
        members: GDAL name of each file, by its path inside the product, with "/" as the separator.
        read_member: Function that returns the bytes of a member.
    """

    path: Path
    members: Mapping[str, Path]
    read_member: Callable[[str], bytes]

    def read(self, member: str) -> bytes:
        """Content of a metadata file.

        Raises:
            RasterError: The file cannot be read, or is larger than LARGEST_METADATA.
        """
        try:
            return self.read_member(member)
        except (OSError, ValueError, zipfile.BadZipFile, tarfile.TarError, RuntimeError, NotImplementedError) as error:
            reason = " ".join(str(error).split())[:LONGEST]
            raise RasterError(
                f"{self.path}: its file {member} cannot be read ({reason}); download the product again"
            ) from error


def open_container(path: Path) -> Container | None:
    """Files of a folder, of a `.zip` or of a `.tar` archive; None for any other file.

    Raises:
        RasterError: The archive is damaged, protected by a password, or compressed as a whole.
    """
    if path.is_dir():
        return _folder(path)
    name = path.name.lower()
    if not path.is_file():
        return None
    if name.endswith(".zip"):
        return _zip(path)
    if name.endswith(COMPRESSED):
        raise RasterError(
            f"{path}: is a compressed archive, wanted a folder, a .zip or a plain .tar; unpack it and name the folder"
        )
    return _tar(path) if name.endswith(".tar") else None


def _folder(path: Path) -> Container:
    members = {}
    for folder, inner, files in os.walk(path):
        if len(Path(folder).relative_to(path).parts) >= DEEPEST:
            inner.clear()
        for name in files:
            file = Path(folder, name)
            members[file.relative_to(path).as_posix()] = file

    def read(member: str) -> bytes:
        _require_small(members[member].stat().st_size)
        return members[member].read_bytes()

    return Container(path, members, read)


def _zip(path: Path) -> Container:
    try:
        with zipfile.ZipFile(path) as archive:
            files = [info for info in archive.infolist() if not info.is_dir()]
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise RasterError(f"{path}: not a readable ZIP archive ({error}); download it again") from error
    locked = next((info for info in files if info.flag_bits & 0x1), None)
    if locked is not None:
        raise RasterError(
            f"{path}: its file {locked.filename} is protected by a password, wanted an open archive; unpack it and "
            "name the folder"
        )

    def read(member: str) -> bytes:
        with zipfile.ZipFile(path) as archive:
            _require_small(archive.getinfo(member).file_size)
            return archive.read(member)

    return Container(path, _virtual("/vsizip/", path, [info.filename for info in files]), read)


def _tar(path: Path) -> Container:
    try:
        with tarfile.open(path, "r:") as archive:
            names = [info.name for info in archive.getmembers() if info.isfile()]
    except (tarfile.TarError, OSError, ValueError) as error:
        raise RasterError(
            f"{path}: not a readable, uncompressed TAR archive ({error}); download it again, or unpack it and name "
            "the folder"
        ) from error

    def read(member: str) -> bytes:
        with tarfile.open(path, "r:") as archive:
            info = archive.getmember(member)
            _require_small(info.size)
            content = archive.extractfile(info)
            if content is None:
                raise ValueError("it is not a plain file")
            return content.read()

    return Container(path, _virtual("/vsitar/", path, names), read)


def _virtual(prefix: str, path: Path, names: list[str]) -> dict[str, Path]:
    """GDAL names of an archive's members. In a VRT, GDAL accepts only the absolute path of an archive."""
    return {name: Path(f"{prefix}{path.resolve().as_posix()}/{name}") for name in names}


def _require_small(size: int) -> None:
    if size > LARGEST_METADATA:
        raise ValueError(f"it has {size:,} bytes, wanted at most {LARGEST_METADATA:,} for metadata")


def inner_folder(member: str) -> str:
    """Folder of a member with "/" at its end, or "" for a member at the top."""
    parent = PurePosixPath(member).parent.as_posix()
    return "" if parent == "." else f"{parent}/"
