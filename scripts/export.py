"""Convert a checkpoint to a model package: `python scripts/export.py --help`."""

import sys

from seg.entry.program import run

if __name__ == "__main__":
    sys.exit(run("export", sys.argv[1:]))
