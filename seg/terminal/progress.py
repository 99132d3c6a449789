"""Progress bars, shown only in a terminal."""

import sys
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress

Item = TypeVar("Item")


class Bar:
    """A progress bar. Without a terminal, the bar draws nothing.

    Args:
        title: Text before the bar.
        total: Number of pieces; None if unknown.
        progress: Display that draws the bar; None to draw nothing.
    """

    def __init__(self, title: str, total: int | None, progress: "Progress | None") -> None:
        self._progress = progress
        self._task = None if progress is None else progress.add_task(title, total=total, text="")

    def step(self) -> None:
        """Count one more finished piece."""
        if self._progress is not None and self._task is not None:
            self._progress.advance(self._task)

    def move(self, done: int, total: int, text: str = "") -> None:
        """Show a number of finished pieces.

        Args:
            done: Finished pieces.
            total: All pieces.
            text: Shown after the count, such as a speed.
        """
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=done, total=total, text=text)


@contextmanager
def progress_bar(title: str, total: int | None = None, stream: TextIO | None = None) -> Iterator[Bar]:
    """Show a bar with the number of finished pieces and the remaining time, as long as the context is open.

    Args:
        title: Text before the bar.
        total: Number of pieces; None if unknown.
        stream: Stream for the bar; standard error by default. If the stream is not a terminal, no bar is drawn.
    """
    stream = stream or sys.stderr
    if not stream.isatty():
        yield Bar(title, total, None)
        return
    # Imported here, so that commands without a terminal start faster.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    left, right = TextColumn("{task.description}"), TextColumn("{task.fields[text]}")
    columns = left, BarColumn(), MofNCompleteColumn(), right, TimeRemainingColumn()
    with Progress(*columns, console=Console(file=stream), transient=True) as progress:
        yield Bar(title, total, progress)


def with_progress(items: Iterable[Item], title: str, total: int | None = None) -> Iterator[Item]:
    """Yield items, with a bar on standard error that counts finished items.

    Args:
        items: Pieces of work, in order.
        title: Text before the bar.
        total: Number of items; by default `len(items)` if the items have a length.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    with progress_bar(title, total) as bar:
        for item in items:
            yield item
            bar.step()
