"""Adapt a model package to a new place: `python scripts/adapt.py --help`."""

import sys

from seg.entry.program import run

if __name__ == "__main__":
    sys.exit(run("adapt", sys.argv[1:]))
