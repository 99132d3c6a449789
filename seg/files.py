"""Files that are complete or absent, hashes, checks of outputs before the work begins, and claims on folders."""

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
"""End of a temporary file's name, after a dot, the name of the final file and another dot."""

SOFTWARE = "cropland-seg"
"""Name of this software in the files that it writes."""

CLAIM = "claim"
"""Name of the lock file in a claimed folder."""

WITHOUT_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL})
"""Errors of file systems that know no locks, such as some network and FUSE mounts."""


@contextmanager
def complete_or_absent(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` to write to; it replaces `path` if the block ends without an error.

    The bytes reach the disk before the name does, so that even a power cut leaves either the older file or the whole
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
        folder: A folder that no other process is writing to, by its claim.
        names: Names of the files whose temporary files are removed; all other files stay.
    """
    for name in names:
        for path in folder.glob(f".{glob.escape(name)}.*.partial"):
            if TEMPORARY.fullmatch(path.name.removeprefix(f".{name}.")):
                path.unlink(missing_ok=True)


def write_json(content: Mapping[str, object], path: Path) -> None:
    """Write plain values as an indented JSON file, complete or absent.

    Args:
        content: Values without NaN and infinity, which JSON does not have.
        path: The file; its folder must exist.

    Raises:
        OSError: The file cannot be written.
    """
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    with complete_or_absent(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes as 64 hexadecimal digits; the file is read piece by piece."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def short_hash(text: str) -> str:
    """First 16 hexadecimal digits of a text's SHA-256: enough to tell the runs and files of one machine apart."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def require_output_file(path: Path, suffixes: Sequence[str] = ()) -> None:
    """Check that a file can be written, before minutes of work; makes nothing.

    `seg.raster.sources.require_apart` compares it with the inputs.

    Args:
        path: The file.
        suffixes: Endings that its name may have, in lower case; empty allows any.

    Raises:
        ConfigError: The name has another ending, the folder is missing or read-only, or the path is a folder.
    """
    if path.is_dir():
        raise ConfigError(f"{path}: is a folder; name a file")
    if suffixes and path.suffix.lower() not in suffixes:
        raise ConfigError(f"{path}: wanted a file name that ends in {' or '.join(suffixes)}; name another output")
    if not path.parent.is_dir():
        raise ConfigError(f"{path}: its folder {path.parent} does not exist; make it or name another output")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise ConfigError(f"{path}: its folder {path.parent} is read-only; name another output")


def require_ours(path: Path) -> None:
    """Check that a file to replace is absent, empty, or was written by this project; other programs' files stay.

    A JSON document names this software, a page its product, and a picture the software in its metadata.

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


def require_output_folder(folder: Path) -> None:
    """Check that a folder exists or can be made, and can be written to, before minutes of work; makes nothing.

    Raises:
        ConfigError: The path is a file, its parent does not exist, or the folder (its parent, if it is missing) is
            read-only.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: is a file; name a folder")
    place = folder if folder.exists() else folder.absolute().parent
    if not place.is_dir():
        raise ConfigError(f"{folder}: its parent folder {place} does not exist; make it or name another output")
    if not os.access(place, os.W_OK | os.X_OK):
        raise ConfigError(f"{folder}: {place} is read-only; change its permissions or name another output")


def make_output_folder(folder: Path) -> None:
    """Make a folder unless it exists; its parent must exist.

    Raises:
        ConfigError: The folder cannot be made, or cannot be written to.
    """
    require_output_folder(folder)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be made ({error.strerror}); name another output") from error


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Keep other processes out of a folder for the time of a block.

    The claim is a lock of the operating system on a file in the folder, so it ends with the process, even a killed one.
    The lock file is removed at the end. File systems without locks let every process in.

    Args:
        folder: An existing folder.

    Raises:
        RasterError: Another process holds the claim.
        OSError: The lock file cannot be made, or the folder is missing.
    """
    folder.stat()  # The lock would make a missing folder.
    lock = FileLock(folder / CLAIM, blocking=False, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise RasterError(
            f"{folder}: another process is at work there; wait for it to end, or name another output"
        ) from error
    except OSError as error:
        if error.errno not in WITHOUT_LOCKS:
            raise
    try:
        yield
    finally:
        # While the file is locked: later, it could be the lock file of another process. Windows removes no open file,
        # and there `release` removes it.
        with suppress(OSError):
            (folder / CLAIM).unlink()
        lock.release()


@contextmanager
def work_folder(output: Path) -> Iterator[Path]:
    """A hidden folder for unfinished files beside an output, on the same disk, removed when the block ends.

    Its name is fixed, so that the next run for the same output removes what a killed run left there.

    Args:
        output: The file that the work will write; its folder must exist.

    Raises:
        RasterError: Another process works on the same output, or the folder's name is taken by a link.
        OSError: The folder cannot be made or written.
    """
    folder = output.with_name(f".{output.name}.unfinished")
    if folder.is_symlink():
        raise RasterError(f"{folder}: is a link, wanted a folder for unfinished files; remove it")
    folder.mkdir(exist_ok=True)
    try:
        with claimed(folder):
            _empty(folder)
            try:
                yield folder
            finally:
                _empty(folder)
    finally:
        with suppress(OSError):  # Another process may have claimed the folder, which is not empty then.
            folder.rmdir()


def _empty(folder: Path) -> None:
    """Remove all that is in a folder but its claim."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != CLAIM:
            path.unlink()
