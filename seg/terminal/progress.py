"""A bar for what is done piece by piece, where standard error is a terminal."""

from collections.abc import Iterable
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
