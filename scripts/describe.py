"""Show a network layer by layer: `python scripts/describe.py --help`."""

import sys

from seg.entry.describe import main

if __name__ == "__main__":
    sys.exit(main())
