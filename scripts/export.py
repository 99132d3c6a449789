"""Turn a checkpoint into a model package: `python scripts/export.py --help`."""

import sys

from seg.entry.export import main

if __name__ == "__main__":
    sys.exit(main())
