"""Map scenes with a trained model: `python scripts/predict.py --help`."""

import sys

from seg.entry.program import run

if __name__ == "__main__":
    sys.exit(run("predict", sys.argv[1:]))
