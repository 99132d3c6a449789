"""Errors that a user can cause, and helpers for their messages.

All errors derive from SegError. Most of them also derive from a similar builtin exception, such as ValueError. A
message is one line that states the file or argument, the value found, the value wanted, and a remedy.
"""

from collections.abc import Sequence


class SegError(Exception):
    """Base class of errors that commands print as one line, with exit status 2."""


class RasterError(SegError, ValueError):
    """A raster cannot be read or written, or has a wrong grid."""


class DamageError(RasterError):
    """A raster opens, but some of its pixels cannot be read."""


class UndeclaredNodataError(RasterError):
    """Pixels of a raster hold a constant such as -9999, but the raster does not declare this value as nodata."""


class NoOverlapError(RasterError):
    """Polygons do not overlap the raster."""


class WriteError(SegError, OSError):
    """A file cannot be written, as on a full disk or in a read-only folder."""


class ClaimError(SegError, RuntimeError):
    """Another process is at work on the same output."""


class DatasetError(SegError, ValueError):
    """A dataset is incomplete, or its images and masks do not match."""


class ConfigError(SegError, ValueError):
    """An argument or a configuration value is invalid."""


class PackageError(SegError, ValueError):
    """A checkpoint or a model package is damaged, unsafe, or does not fit the input."""


class IncompleteError(SegError):
    """Some of several tasks failed and the others succeeded; commands end with exit status 1."""


class TrainingError(SegError, ArithmeticError):
    """Training stopped, since its loss became NaN or infinite."""


def require_option(met: bool, option: str, value: object, wanted: str) -> None:
    """Check the value of an option of the command line.

    Args:
        met: True if the value is valid.
        option: Name of the option without dashes in front, with underscores or hyphens: "block_size" or "block-size".
        value: The value given.
        wanted: Valid values, in words.

    Raises:
        ConfigError: The value is invalid.
    """
    if not met:
        raise ConfigError(f"--{option.replace('_', '-')} is {value}; wanted {wanted}")


MOST_THREADS = 1024
"""Largest accepted number of threads; some libraries fail if they are asked for many more."""


def require_threads(threads: int, least: int = 0) -> None:
    """Check the option for a number of threads.

    Raises:
        ConfigError: The number is below the least or above `MOST_THREADS`.
    """
    require_option(least <= threads <= MOST_THREADS, "threads", threads, f"{least} to {MOST_THREADS:,}")


def listed(names: Sequence[object], most: int = 5) -> str:
    """List names for a message, shortened if there are many: "a, b, ... (7 in all)".

    Args:
        names: Names or values.
        most: Largest number of names to show.
    """
    shown = ", ".join(str(name) for name in names[:most])
    return f"{shown}, ... ({len(names)} in all)" if len(names) > most else shown
