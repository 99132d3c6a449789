"""Turn a class map into parcels: `python scripts/polygons.py --help`."""

import sys

from seg.entry.polygons import main

if __name__ == "__main__":
    sys.exit(main())
