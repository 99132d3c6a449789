"""Measure the cost of the parts of the pipeline: `python scripts/benchmark.py --help`."""

import sys

from seg.entry.program import run

if __name__ == "__main__":
    sys.exit(run("benchmark", sys.argv[1:]))
