"""Which checkpoint an unfinished training goes on from."""

import contextlib
import sys
from pathlib import Path

from seg.errors import PackageError
from seg.package.checkpoint import Checkpoint, read_checkpoint


def read_last(path: Path) -> Checkpoint:
    """The last checkpoint of a run; where it is missing or damaged, the newest whole one beside it, and a note of it.

    Args:
        path: Where the last one should lie.

    Raises:
        PackageError: There is no whole one; says what is wrong with the last.
    """
    try:
        return read_checkpoint(path)
    except PackageError as error:
        others = [other for other in path.parent.glob("*.ckpt") if other != path and other.is_file()]
        for other in sorted(others, key=lambda other: other.stat().st_mtime, reverse=True):
            with contextlib.suppress(PackageError):
                found = read_checkpoint(other)
                print(f"note: {error}; taking {other} instead", file=sys.stderr)
                return found
        raise
