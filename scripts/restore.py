"""Fetch a run back from Weights & Biases: `python scripts/restore.py --help`."""

import sys

from seg.entry.restore import main

if __name__ == "__main__":
    sys.exit(main())
