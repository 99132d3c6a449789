"""A bar for what is done window by window, where standard error is a terminal."""

from collections.abc import Iterable

from rasterio.windows import Window
from rich.console import Console
from rich.progress import track


def with_progress(windows: list[Window], title: str) -> Iterable[Window]:
    """The windows, with a bar.

    Args:
        windows: In the order they are read.
        title: Beside the bar.
    """
    console = Console(stderr=True)
    return track(windows, title, console=console, transient=True, disable=not console.is_terminal)
