"""Train a network, or score a checkpoint: `python scripts/train.py --help`."""

import sys

from seg.entry.train import main

if __name__ == "__main__":
    sys.exit(main())
