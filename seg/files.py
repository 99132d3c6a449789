"""Files that appear only when they are complete."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
