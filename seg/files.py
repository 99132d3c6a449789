"""Atomic writes, hashes, early checks of outputs, and claims on folders."""

import errno
import glob
import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from seg.errors import ConfigError, RasterError

TEMPORARY = re.compile(r"[0-9a-f]{32}\.partial")
"""End of a temporary file's name; the full name is `.FINAL_NAME.` followed by this end."""

SOFTWARE = "cropland-seg"
"""Name of this software in the files that it writes."""

CLAIM = "claim"
"""Name of the lock file in a claimed folder."""

WITHOUT_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL})
"""Errors of file systems without locks, such as some network and FUSE mounts."""


@contextmanager
def complete_or_absent(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; the file there replaces `path` if the block ends without an error.

    The bytes reach the disk before the rename, so that even a power cut leaves either the older file or the complete
    new one. The temporary name is unique, so processes that write the same file do not disturb each other. Only a
    killed process leaves its temporary file behind.

    Args:
        path: The file to write; its folder must exist.

    Raises:
        OSError: The temporary file cannot be stored, or `path` cannot be replaced.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path, names: Iterable[str]) -> None:
    """Remove temporary files that killed processes left in a folder (see `complete_or_absent`).

    Args:
        folder: A folder claimed by this process, so that no other process writes to it.
        names: Names of the files whose temporary files are removed; all other files stay.
    """
    for name in names:
        for path in folder.glob(f".{glob.escape(name)}.*.partial"):
            if TEMPORARY.fullmatch(path.name.removeprefix(f".{name}.")):
                path.unlink(missing_ok=True)


def write_json(content: Mapping[str, object], path: Path) -> None:
    """Write plain values as an indented JSON file, complete or absent.

    Args:
        content: Values without NaN and infinity, which JSON cannot store.
        path: The file; its folder must exist.

    Raises:
        OSError: The file cannot be written.
    """
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    with complete_or_absent(path) as temporary:
        # A name that is not UTF-8 becomes the JSON escapes of its bytes.
        temporary.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")


def read_text(path: Path) -> str:
    """Text of a file in UTF-8, with or without a byte order mark, or in GBK, as Chinese spreadsheets and editors save.

    Raises:
        UnicodeDecodeError: The text is in neither.
        OSError: The file cannot be read.
    """
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("GB18030")


def sha256(path: Path) -> str:
    """SHA-256 of a file as 64 hexadecimal digits; does not load the whole file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def short_hash(text: str) -> str:
    """First 16 hexadecimal digits of a text's SHA-256, enough to distinguish runs and files of one machine."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def require_utf8_name(path: Path) -> None:
    """Check that a file's name is UTF-8: GDAL and JSON take no other. Old archives unpack to names in GBK.

    Raises:
        RasterError: The name has bytes that are not UTF-8.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise RasterError(
            f"{path}: its name is not UTF-8, which GDAL needs; rename it, such as with convmv -f gbk -t utf8 --notest"
        ) from error


def require_output_file(path: Path, suffixes: Sequence[str] = ()) -> None:
    """Check that a file can be written, before long work; creates nothing.

    `seg.raster.sources.require_apart` compares an output with the inputs.

    Args:
        path: The file.
        suffixes: Allowed endings of the name, in lower case; empty allows any.

    Raises:
        ConfigError: The name has another ending, the folder is missing or read-only, or the path is a folder.
    """
    if path.is_dir():
        raise ConfigError(f"{path}: is a folder; name a file")
    if suffixes and path.suffix.lower() not in suffixes:
        raise ConfigError(f"{path}: wanted a file name that ends in {' or '.join(suffixes)}; name another output")
    if not path.parent.is_dir():
        raise ConfigError(f"{path}: its folder {path.parent} does not exist; create it or name another output")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise ConfigError(f"{path}: its folder {path.parent} is read-only; name another output")


def require_replaceable(path: Path) -> None:
    """Check that a file is absent, empty or written by this project, so that files of other programs are not replaced.

    JSON documents, pages and the metadata of pictures contain the name of this software.

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
        is_own_file = _names_software(content)
    else:
        marks = {".html": f'class="product">{SOFTWARE}'.encode(), ".png": b"tEXtSoftware\0" + SOFTWARE.encode()}
        is_own_file = marks[path.suffix.lower()] in content
    if not is_own_file:
        raise ConfigError(
            f"{path}: was not written by {SOFTWARE}, so it is not replaced; move it or name another output"
        )


def _names_software(content: bytes) -> bool:
    try:
        document = json.loads(content)
        return bool(document["software"]["name"] == SOFTWARE)
    except (ValueError, TypeError, KeyError, RecursionError):
        return False


def require_output_folder(folder: Path) -> None:
    """Check that a folder exists or can be created, and is writable, before long work; creates nothing.

    Raises:
        ConfigError: The path is a file, its parent does not exist, or the folder, or the parent of a missing folder, is
            read-only.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: is a file; name a folder")
    place = folder if folder.exists() else folder.absolute().parent
    if not place.is_dir():
        raise ConfigError(f"{folder}: its parent folder {place} does not exist; create it or name another output")
    if not os.access(place, os.W_OK | os.X_OK):
        raise ConfigError(f"{folder}: {place} is read-only; change its permissions or name another output")


def make_output_folder(folder: Path) -> None:
    """Create a folder unless it exists; its parent must exist.

    Raises:
        ConfigError: The folder cannot be created, or is read-only.
    """
    require_output_folder(folder)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be created ({error.strerror}); name another output") from error


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Lock a folder against other processes during a block.

    The claim is an operating-system lock on a file in the folder, so it also ends if the process is killed. The lock
    file is removed at the end. On file systems without locks, a claim has no effect.

    Args:
        folder: An existing folder.

    Raises:
        RasterError: Another process holds the claim.
        OSError: The lock file cannot be created, or the folder is missing.
    """
    folder.stat()  # Raises for a missing folder, which FileLock would create.
    lock = FileLock(folder / CLAIM, blocking=False, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise RasterError(
            f"{folder}: another process uses this folder; wait for it to end, or name another output"
        ) from error
    except OSError as error:
        if error.errno not in WITHOUT_LOCKS:
            raise
    try:
        yield
    finally:
        # Removed before the release, after which another process could lock the file. On Windows, open files cannot be
        # removed, and `release` removes the file instead.
        with suppress(OSError):
            (folder / CLAIM).unlink()
        lock.release()


@contextmanager
def work_folder(output: Path) -> Iterator[Path]:
    """Create a hidden folder for unfinished files beside an output, and remove it when the block ends.

    The name of the folder is fixed, so that the next run for the same output removes files of a killed run.

    Args:
        output: The final output file; its folder must exist.

    Raises:
        RasterError: Another process works on the same output, or a link has the folder's name.
        OSError: The folder cannot be created or written.
    """
    folder = output.with_name(f".{output.name}.unfinished")
    if folder.is_symlink():
        raise RasterError(f"{folder}: is a link; wanted a folder for unfinished files; remove the link")
    folder.mkdir(exist_ok=True)
    try:
        with claimed(folder):
            _empty(folder)
            try:
                yield folder
            finally:
                _empty(folder)
    finally:
        with suppress(OSError):  # Fails if another process has claimed the folder, which is then not empty.
            folder.rmdir()


def _empty(folder: Path) -> None:
    """Remove all files and folders in a folder except its claim."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != CLAIM:
            path.unlink()
