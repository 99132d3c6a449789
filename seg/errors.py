"""Errors a user can cause: one root, and each is also the builtin it resembles.

A message is one line: the file or argument, what it has, what was wanted, what to do.
"""


class SegError(Exception):
    """Root of the errors that commands print as one line and turn into exit status 2."""


class RasterError(SegError, ValueError):
    """A raster cannot be read, written, or does not have the grid that was wanted."""


class DatasetError(SegError, ValueError):
    """A dataset is incomplete, or its images and masks do not belong together."""


class ConfigError(SegError, ValueError):
    """An argument or a configuration value cannot work."""


class PackageError(SegError, ValueError):
    """A checkpoint or a model package is damaged, unsafe, or does not fit the input."""


class TrainingError(SegError, ArithmeticError):
    """A training cannot go on: its loss is no number any more."""
