"""Files that appear only when they are complete."""

import hashlib
import json
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from seg.errors import ConfigError, RasterError


@contextmanager
def complete_or_absent(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, to write to; it takes the place of `path` if the block ends without an error.

    Its bytes reach the disk before the name does, so that even a power cut leaves the older file or the whole new one.
    Its name is unique, so that processes which write the same file do not mix. Only a killed process leaves it behind.

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


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, read piece by piece."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(content: Mapping[str, object], path: Path) -> None:
    """Write plain values; the file is complete or absent.

    Args:
        content: Without NaN or infinity, which JSON does not have.
        path: The file; its folder must exist.

    Raises:
        OSError: It cannot be written.
    """
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    with complete_or_absent(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def require_output_folder(folder: Path) -> None:
    """Check that a folder exists or can be made, before the work whose result goes there. Makes nothing.

    Raises:
        ConfigError: It is a file, its parent does not exist, or it may not be written.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: is a file, wanted a folder for the report; give another output")
    place = folder if folder.exists() else folder.absolute().parent
    if not place.is_dir():
        raise ConfigError(f"{folder}: its parent folder {place} does not exist; make it or give another output")
    if not os.access(place, os.W_OK | os.X_OK):
        raise ConfigError(f"{folder}: {place} may not be written; change its permissions or give another output")


def make_output_folder(folder: Path) -> None:
    """Make the folder unless it exists; its parent must.

    Raises:
        ConfigError: It cannot be made.
    """
    require_output_folder(folder)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be made ({error.strerror}); give another output") from error


try:
    import fcntl
except ImportError:  # on Windows, where nothing is claimed
    fcntl = None  # type: ignore[assignment]

NAME = "claim"


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Keep other processes out of a folder; the system ends the claim of a process that is killed.

    A file system that knows no locks lets everybody in.

    Args:
        folder: An existing folder.

    Raises:
        RasterError: Another process has claimed it.
        OSError: Nothing can be written there.
    """
    descriptor = os.open(folder / NAME, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise RasterError(
            f"{folder}: another process is at work there; wait for it to end, or name another output"
        ) from error
    except OSError:
        return
