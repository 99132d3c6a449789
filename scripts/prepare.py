"""Make, check, split and import datasets: `python scripts/prepare.py --help`."""

import sys

from seg.entry.prepare import main

if __name__ == "__main__":
    sys.exit(main())
