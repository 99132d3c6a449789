"""Threads, result files and figures of the benchmark's commands."""

from collections.abc import Mapping
from pathlib import Path

import torch

from seg.files import require_output_file, write_json


def use_threads(threads: int) -> None:
    """Set PyTorch's number of threads in this process; 0 keeps the library's default."""
    if threads:
        torch.set_num_threads(threads)


def check_results(path: Path | None) -> None:
    """Check before the measurement that a file for results can be written.

    Args:
        path: The file; None for no file.

    Raises:
        ConfigError: The file cannot be written.
    """
    if path is not None:
        require_output_file(path)


def write_results(content: Mapping[str, object], path: Path | None) -> None:
    """Write results as JSON.

    Args:
        content: Plain values.
        path: The file; None for no file.
    """
    if path is not None:
        write_json(content, path)


def number(value: float | None) -> str:
    """Format a number with about three significant digits; "-" for None."""
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) >= 1 or value == 0 else f"{value:.3f}"
