"""Train, validate or test: `python scripts/train.py fit --config configs/demo.yaml`."""

import sys

from seg.raster.gdal_options import gdal_options
from seg.terminal.command_line import guarded


def train() -> None:
    """Do what the command line says; the imports, which take seconds, can be interrupted like the rest."""
    from seg.training.cli import run

    with gdal_options():
        run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(guarded(train, debug="--debug" in sys.argv))
