"""Make and prepare datasets: `python scripts/prepare.py demo --output data/demo`."""

import sys
from collections.abc import Sequence
from pathlib import Path

from seg.console import run_command


def demo(output: Path) -> None:
    """Write the embedded demo dataset (Indian Pines, 1992), ready for training.

    Args:
        output: Folder for the dataset; its parent must exist. An older copy of the dataset is replaced.
    """
    from seg.data.sources.indian_pines import write_indian_pines

    folds = write_indian_pines(output)
    print(f"{output}: {sum(fold.blocks for fold in folds)} blocks in {len(folds)} folds; see {output / 'README.md'}")
    print("fold  blocks  labelled pixels  cropland share")
    for number, fold in enumerate(folds):
        print(f"{number:4d}  {fold.blocks:6d}  {fold.labelled:15d}  {fold.cropland_share:14.3f}")


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status of the command line; `arguments` are its words, by default those of the process."""
    return run_command({"demo": demo}, arguments, "Make and prepare datasets.")


if __name__ == "__main__":
    sys.exit(main())
