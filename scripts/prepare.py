"""Make, check, split and import datasets: `python scripts/prepare.py --help`."""

import sys

from seg.entry.program import run

if __name__ == "__main__":
    sys.exit(run("prepare", sys.argv[1:]))
