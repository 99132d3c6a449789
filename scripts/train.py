"""Train a network, or score a checkpoint: `python scripts/train.py --help`."""

import sys

from seg.entry.program import run

if __name__ == "__main__":
    sys.exit(run("train", sys.argv[1:]))
