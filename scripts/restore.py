"""Restore a run from Weights & Biases: `python scripts/restore.py --help`."""

import sys

from seg.entry.program import run

if __name__ == "__main__":
    sys.exit(run("restore", sys.argv[1:]))
