"""Errors a user can cause: one root, and each is also the builtin it resembles.

A message is one line: the file or argument, what it has, what was wanted, what to do.
"""


class SegError(Exception):
    """Root of the errors that commands print as one line and turn into exit status 2."""


class RasterError(SegError, ValueError):
    """A raster cannot be read, written, or does not have the grid that was wanted."""


class DamageError(RasterError):
    """Pixels of a raster cannot be read, although it opens."""


class NoOverlapError(RasterError):
    """Polygons have nothing in common with the raster that they were meant for."""


class DatasetError(SegError, ValueError):
    """A dataset is incomplete, or its images and masks do not belong together."""


class ConfigError(SegError, ValueError):
    """An argument or a configuration value cannot work."""


class PackageError(SegError, ValueError):
    """A checkpoint or a model package is damaged, unsafe, or does not fit the input."""


class IncompleteError(SegError):
    """Of several things some could not be done, and the others are: commands end with exit status 1."""


class TrainingError(SegError, ArithmeticError):
    """A training cannot go on: its loss is no number any more."""
