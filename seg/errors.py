"""Errors a user can cause, and the parts that their messages share.

Errors have one root, and each is also the builtin that it resembles. A message is one line that names the file or
argument, what was found, what was wanted, and what to do.
"""

from collections.abc import Sequence


class SegError(Exception):
    """Root of the errors that commands print as one line and turn into exit status 2."""


class RasterError(SegError, ValueError):
    """A raster cannot be read or written, or lies on another grid than was wanted."""


class DamageError(RasterError):
    """A raster opens, but some of its pixels cannot be read."""


class UndeclaredNodataError(RasterError):
    """A raster holds a constant that no sensor measures, such as -9999, and does not declare it as nodata."""


class NoOverlapError(RasterError):
    """Polygons do not meet the raster that they were meant for."""


class DatasetError(SegError, ValueError):
    """A dataset is incomplete, or its images and masks do not belong together."""


class ConfigError(SegError, ValueError):
    """An argument or a configuration value cannot work."""


class PackageError(SegError, ValueError):
    """A checkpoint or a model package is damaged, unsafe, or does not fit the input."""


class IncompleteError(SegError):
    """Some of several tasks failed and the others are done; commands end with exit status 1."""


class TrainingError(SegError, ArithmeticError):
    """A training cannot go on, since its loss is NaN or infinite."""


def require_option(met: bool, option: str, value: object, wanted: str) -> None:
    """Check the value of an option of the command line.

    Args:
        met: True if the value can be used.
        option: Name of the option as a field, such as "block_size", or on the command line, "block-size".
        value: The value given.
        wanted: Values that can be used, in words.

    Raises:
        ConfigError: The value cannot be used.
    """
    if not met:
        raise ConfigError(f"--{option.replace('_', '-')} is {value}; wanted {wanted}")


def listed(names: Sequence[object], most: int = 5) -> str:
    """The first of some names for a message, and their number if there are more: "a, b, ... (7 in all)".

    Args:
        names: Names or values.
        most: Number of names that are shown.
    """
    shown = ", ".join(str(name) for name in names[:most])
    return f"{shown}, ... ({len(names)} in all)" if len(names) > most else shown
