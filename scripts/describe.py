"""Show a network layer by layer: `python scripts/describe.py --help`."""

import sys

from seg.entry.program import run

if __name__ == "__main__":
    sys.exit(run("describe", sys.argv[1:]))
