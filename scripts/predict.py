"""Map scenes with a trained model: `python scripts/predict.py --help`."""

import sys

from seg.entry.predict import main

if __name__ == "__main__":
    sys.exit(main())
