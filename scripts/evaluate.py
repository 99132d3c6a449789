"""Compare maps with references, estimate areas, map change: `python scripts/evaluate.py --help`."""

import sys

from seg.entry.evaluate import main

if __name__ == "__main__":
    sys.exit(main())
