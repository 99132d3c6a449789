"""Train a network, or score a checkpoint: the command `train`."""

import sys
from collections.abc import Sequence

from seg.raster.gdal_options import gdal_options
from seg.terminal.command_line import guarded


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status of the command line.

    Args:
        arguments: Its words; those of the process by default.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)

    def train() -> None:
        # Imported here, as it takes seconds in which Ctrl-C should end with one line too.
        from seg.training.cli import run

        with gdal_options():
            run(words)

    return guarded(train, debug="--debug" in words)
