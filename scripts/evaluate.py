"""Compare maps with references, estimate areas, map change: `python scripts/evaluate.py --help`."""

import sys

from seg.entry.program import run

if __name__ == "__main__":
    sys.exit(run("evaluate", sys.argv[1:]))
