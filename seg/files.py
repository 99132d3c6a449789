"""Atomic writes, hashes, early checks of output paths, and locks on folders."""

import errno
import glob
import hashlib
import json
import math
import os
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from seg.errors import ClaimError, ConfigError, RasterError, WriteError

TEMPORARY = re.compile(r"[0-9a-f]{32}\.partial")
"""Pattern of the end of a temporary file's name. A temporary file of `a.tif` is `.a.tif.`, 32 hexadecimal digits and
`.partial`."""

SOFTWARE = "cropland-seg"
"""Name of this software in the files that it writes."""

CLAIM = ".cropland-seg.lock"
"""Name of the lock file in a claimed folder; users' files are not expected to have this name."""

UNFINISHED = ".unfinished"
"""Ending of the name of a folder for unfinished files; the folder of the output `a.tif` is `.a.tif.unfinished`."""

LONGEST = 200
"""Largest number of characters that an error shows of a library's message."""

MOST_DIGITS = 20
"""Number of characters of the longest 64-bit integer."""

FULL_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Error numbers of a full disk, an exhausted quota and an exceeded limit of file sizes."""

WITHOUT_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL})
"""Error numbers of file systems that do not support locks, such as some network and FUSE mounts."""


@contextmanager
def writing(path: Path, *kinds: type[Exception]) -> Iterator[None]:
    """Convert system errors that occur while a file is written, such as a full disk, to errors that name the file.

    Args:
        path: The file or folder to write. For a file in a `work_folder`, messages name its final path.
        kinds: Further error classes to convert, such as those of a library that writes the file.

    Raises:
        WriteError: The code within the context raised a system error about this file, or an error of the further
            classes.
    """
    shown = final_path(path)
    caught: tuple[type[Exception], ...] = (OSError, *kinds)
    try:
        yield
    except WriteError:
        raise
    except caught as error:
        if not _is_about(error, path):
            raise
        reason = (error.strerror if isinstance(error, OSError) else None) or " ".join(str(error).split())[:LONGEST]
        raise WriteError(
            f"{shown}: cannot be written ({reason}); make {shown.parent} writable with space left, or name another "
            "output"
        ) from error


def final_path(path: Path) -> Path:
    """Final path of a file in a `work_folder`; other paths stay as they are."""
    return Path(*(part for part in path.parts if not (part.startswith(".") and part.endswith(UNFINISHED))))


def _is_about(error: Exception, path: Path) -> bool:
    """True for a library's error, a full disk, an error that names this path, and a disk error that names no file."""
    # The error of a full disk may name another file: if a copy fails, the error names the source of the copy.
    if not isinstance(error, OSError) or error.errno in FULL_DISK:
        return True
    if not isinstance(error.filename, str):
        return error.errno in (None, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)
    named = Path(error.filename)
    own = named.is_relative_to(path) or path.is_relative_to(named)
    return own or any(part.startswith(f".{path.name}.") for part in named.parts)


@contextmanager
def complete_or_absent(path: Path) -> Iterator[Path]:
    """Yield a temporary path; the file there replaces `path` if the context ends without an error.

    The content reaches the disk before the rename, so even after a power cut `path` is either the old file or the
    complete new file. If the process is killed, files remain in the `work_folder` of `path`. The next write of the same
    file removes them.

    Args:
        path: The file to write; its folder must exist.

    Raises:
        WriteError: The temporary file cannot be stored, or `path` cannot be replaced.
        ClaimError: Another process writes the same file.
    """
    with work_folder(path) as folder:
        yield folder / path.name
        with writing(path):
            put_in_place(folder / path.name, path)


@contextmanager
def complete_in_claimed_folder(path: Path) -> Iterator[Path]:
    """Like `complete_or_absent`, but faster, for a file in a folder that this process has claimed.

    `remove_leftovers` removes temporary files of killed processes.

    Args:
        path: The file to write.

    Raises:
        WriteError: The temporary file cannot be stored, or `path` cannot be replaced.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    try:
        with writing(path):
            yield temporary
            put_in_place(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def put_in_place(finished: Path, path: Path) -> None:
    """Rename a file to its final name after its bytes have reached the disk; an older file is replaced.

    Raises:
        OSError: The disk is full, or the older file cannot be replaced.
    """
    flush(finished)
    finished.replace(path)


def flush(file: Path) -> None:
    """Wait until the bytes of a file have reached the disk; a full disk raises an OSError."""
    with file.open("rb+") as opened:
        os.fsync(opened.fileno())


def remove_leftovers(folder: Path, names: Iterable[str]) -> None:
    """Remove temporary files that killed processes left in a folder (see `complete_in_claimed_folder`).

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
        WriteError: The file cannot be written.
        ClaimError: Another process writes the same file.
    """
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    with complete_or_absent(path) as temporary:
        # If a name is not UTF-8, its bytes are written as JSON escapes.
        temporary.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")


def read_text(path: Path) -> str:
    """Text of a file in UTF-8 (with or without a byte order mark) or in GBK, in which Chinese spreadsheets are saved.

    Raises:
        UnicodeDecodeError: The text is not in UTF-8 or GBK.
        OSError: The file cannot be read.
    """
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("GB18030")


def read_json(path: Path) -> object:
    """Plain values of a JSON file; NaN is allowed, since nodata may be NaN.

    Raises:
        ValueError: The file is not JSON in UTF-8, is nested too deeply, or holds a number beyond 64 bits.
        OSError: The file cannot be read.
    """

    def real(text: str) -> float:
        if math.isinf(float(text)):
            raise ValueError(f"a number is {text[:MOST_DIGITS]}, too large for 64 bits")
        return float(text)

    def whole(text: str) -> int:
        if len(text) > MOST_DIGITS or not -(2**63) <= int(text) < 2**63:
            raise ValueError(f"a number has {len(text)} digits, too many for 64 bits")
        return int(text)

    try:
        content: object = json.loads(path.read_text(encoding="utf-8"), parse_float=real, parse_int=whole)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return content


def sha256(path: Path) -> str:
    """SHA-256 of a file as 64 hexadecimal digits; the file is never in memory as a whole."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def short_hash(text: str) -> str:
    """First 16 hexadecimal digits of a text's SHA-256, enough to distinguish runs and files of one machine."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def require_utf8_name(path: Path) -> None:
    """Check that a file's name is UTF-8, as GDAL and JSON require. Old archives may contain names in GBK.

    Raises:
        RasterError: The name has bytes that are not UTF-8.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise RasterError(
            f"{path}: its name is not UTF-8, as GDAL requires; rename it, for example by convmv -f gbk -t utf8 --notest"
        ) from error


def require_output_file(path: Path, suffixes: Sequence[str] = ()) -> None:
    """Check before long work that a file can be written, without creating it.

    This function does not compare the output with the inputs; see `seg.raster.sources.require_apart`.

    Args:
        path: The file.
        suffixes: Allowed endings of the name, in lower case; if there are none, every ending is allowed.

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


def require_output_folder(folder: Path) -> None:
    """Check before long work that files can be written to a folder, without creating anything.

    Raises:
        ConfigError: The path is a file; the folder is read-only; or the folder is missing and its parent is missing or
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
def claimed(folder: Path, wait: bool = False) -> Iterator[None]:
    """Lock a folder against other processes within a context.

    The operating system locks a file in the folder, and releases the lock if the process is killed. The lock file is
    removed when the context ends. If the file system does not support locks, this function has no effect.

    Args:
        folder: An existing folder.
        wait: If another process has locked the folder, wait for it instead of raising an error.

    Raises:
        ClaimError: Another process has locked the folder, and `wait` is false.
        OSError: The lock file cannot be created, or the folder is missing.
    """
    folder.stat()  # Raises for a missing folder, which FileLock would create.
    lock = FileLock(folder / CLAIM, blocking=wait, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise ClaimError(
            f"{folder}: another process uses this folder; wait for it to end, or name another output"
        ) from error
    except OSError as error:
        if error.errno not in WITHOUT_LOCKS:
            raise
    try:
        yield
    finally:
        # The file is removed before the lock is released, because another process could lock the file after the
        # release. On Windows, open files cannot be removed, so `release` removes the file there.
        with suppress(OSError):
            (folder / CLAIM).unlink()
        lock.release()


@contextmanager
def work_folder(output: Path) -> Iterator[Path]:
    """Create a hidden folder for unfinished files beside an output, and remove the folder when the context ends.

    The name of the folder is fixed, so that the next run for the same output finds and removes files of a killed run.

    Args:
        output: The file or folder that the work will write; its parent must exist.

    Raises:
        ClaimError: Another process works on the same output.
        WriteError: The folder cannot be made or written, or a link has the folder's name.
    """
    folder = output.with_name(f".{output.name}{UNFINISHED}")
    if folder.is_symlink():
        raise WriteError(f"{folder}: is a link; wanted a folder for unfinished files; remove the link")
    with ExitStack() as claim:
        with writing(output):
            claim.callback(remove_if_empty, folder)
            claim.enter_context(_made_and_claimed(folder, output))
            claim.callback(_empty, folder)
            _empty(folder)
        with writing(output):
            yield folder


def remove_unfinished(output: Path) -> None:
    """Remove the work folder that a killed run left beside an output, unless another process works on the output.

    Args:
        output: The file or folder, as for `work_folder`.
    """
    if output.with_name(f".{output.name}{UNFINISHED}").is_dir():
        with suppress(ClaimError, WriteError), work_folder(output):
            pass


@contextmanager
def _made_and_claimed(folder: Path, output: Path) -> Iterator[None]:
    with ExitStack() as claim:
        for is_last in (False, False, True):
            folder.mkdir(exist_ok=True)
            try:
                claim.enter_context(claimed(folder))
                break
            except FileNotFoundError:  # Meanwhile, another process has ended and removed the folder.
                if is_last:
                    raise
            except ClaimError as error:
                raise ClaimError(
                    f"{output}: another process is writing it; wait for it to end, or name another output"
                ) from error
        yield


def remove_if_empty(folder: Path) -> None:
    """Remove a folder if it is empty."""
    with suppress(OSError):  # If another process has claimed the folder, the folder is not empty.
        folder.rmdir()


def _empty(folder: Path) -> None:
    """Remove all files and folders in a folder, except the lock file of its claim."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != CLAIM:
            path.unlink()
