"""Which sample each worker process is loading, so that the error about a stuck or dead one can name it."""

import mmap
import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_MOST_BYTES = 4096
"""Of a note: a path, the longest that Linux takes."""

_TIME = struct.Struct("d")
_NOTHING = _TIME.pack(0.0)

_note: mmap.mmap | None = None
"""Where this process notes what it loads, a file in memory, since it does so for every sample; None if nobody looks."""


@dataclass(frozen=True)
class Unfinished:
    """A sample that a worker has begun and not ended.

    Attributes:
        pid: The worker's process.
        name: The sample's.
        seconds: For how long.
    """

    pid: int
    name: str
    seconds: float


def note_samples_in(folder: Path) -> None:
    """Let this process note in a folder what it loads."""
    global _note
    with (folder / str(os.getpid())).open("w+b") as file:
        file.truncate(_MOST_BYTES)
        _note = mmap.mmap(file.fileno(), _MOST_BYTES)


@contextmanager
def watched(name: str) -> Iterator[None]:
    """Note that a sample is being loaded, until the block ends; an error ends it too.

    Args:
        name: What an error should call the sample.
    """
    note = _note
    if note is None:
        yield
        return
    # The time comes first, and 0 says that there is no sample: so a note that is half written names none.
    text = name.encode()[: _MOST_BYTES - _TIME.size - 1] + b"\0"
    note[: _TIME.size] = _NOTHING
    note[_TIME.size : _TIME.size + len(text)] = text
    note[: _TIME.size] = _TIME.pack(time.monotonic())
    try:
        yield
    finally:
        note[: _TIME.size] = _NOTHING


def unfinished(folder: Path) -> list[Unfinished]:
    """What the processes noted in a folder are loading, the longest first."""
    found = []
    for file in folder.iterdir():
        note = file.read_bytes()
        since = _TIME.unpack_from(note)[0] if len(note) >= _TIME.size else 0
        if since:
            name = note[_TIME.size :].partition(b"\0")[0].decode(errors="replace")
            found.append(Unfinished(int(file.name), name, time.monotonic() - since))
    return sorted(found, key=lambda sample: -sample.seconds)
