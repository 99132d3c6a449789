"""A bar for what is done piece by piece, where standard error is a terminal."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import track

Item = TypeVar("Item")


def with_progress(items: Iterable[Item], title: str, total: int) -> Iterable[Item]:
    """The items, with a bar.

    Args:
        items: In the order they come.
        title: Beside the bar.
        total: How many there are.
    """
    console = Console(stderr=True)
    return track(items, title, total, console=console, transient=True, disable=not console.is_terminal)


T = TypeVar("T")


def tracked(items: Sequence[T], what: str) -> Iterator[T]:
    """The items, with a bar that says how many are done.

    Args:
        items: What is worked on, one after the other.
        what: What is done to them, for the bar.
    """
    console = Console(stderr=True)
    yield from track(items, what, console=console, transient=True, disable=not sys.stderr.isatty())
