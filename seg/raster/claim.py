"""A claim on a folder, so that two processes do not write the same output at once."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seg.errors import RasterError

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
