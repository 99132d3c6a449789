"""Convert a class map to parcels: `python scripts/polygons.py --help`."""

import sys

from seg.entry.program import run

if __name__ == "__main__":
    sys.exit(run("polygons", sys.argv[1:]))
