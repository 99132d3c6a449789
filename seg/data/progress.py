"""Progress of long work on standard error, quiet when that is no terminal."""

import sys
from collections.abc import Iterator, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import track

T = TypeVar("T")


def tracked(items: Sequence[T], what: str) -> Iterator[T]:
    """The items, with a bar that says how many are done.

    Args:
        items: What is worked on, one after the other.
        what: What is done to them, for the bar.
    """
    console = Console(stderr=True)
    yield from track(items, what, console=console, transient=True, disable=not sys.stderr.isatty())
