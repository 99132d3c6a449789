"""Deliver parcels by a template, and check deliveries: `python scripts/deliver.py --help`."""

import sys

from seg.entry.program import run

if __name__ == "__main__":
    sys.exit(run("deliver", sys.argv[1:]))
