"""Train, validate or test: `python scripts/train.py fit --config configs/demo.yaml`."""

import sys

from seg.cli import main

if __name__ == "__main__":
    sys.exit(main())
