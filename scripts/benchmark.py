"""Measure the cost of the parts of the pipeline: `python scripts/benchmark.py --help`."""

import sys

from seg.entry.benchmark import main

if __name__ == "__main__":
    sys.exit(main())
