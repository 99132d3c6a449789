"""What the commands of the benchmark share: threads, a progress bar, a file of results."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from seg.benchmark.timing import Action
from seg.errors import ConfigError


def use_threads(threads: int) -> None:
    """Let PyTorch compute with this many threads in this process; 0 leaves it to the library."""
    if threads:
        torch.set_num_threads(threads)


@contextmanager
def progress_bar(title: str, steps: int) -> Iterator[Action]:
    """A progress bar on standard error if that is a terminal; what it yields moves it by a step."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task(title, total=steps)
        yield lambda: progress.advance(task)


def check_output(path: Path | None) -> None:
    """Refuse a file that could not be written, before minutes of measuring.

    Raises:
        ConfigError: Its folder does not exist, or it is a folder itself.
    """
    if path is not None and (path.is_dir() or not path.parent.is_dir()):
        reason = "is a folder" if path.is_dir() else f"cannot be written: there is no folder {path.parent}"
        raise ConfigError(f"{path}: {reason}; output wants a file in a folder that exists")


def write_json(content: object, path: Path | None) -> None:
    """Write plain values as JSON, if there is a path."""
    if path is not None:
        path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def number(value: float | None) -> str:
    """A number with about three digits that count; "-" for None."""
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) >= 1 or value == 0 else f"{value:.3f}"
