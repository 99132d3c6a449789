"""What the folds of a split hold, for the person who made it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seg.data.dataset.catalogue import MANIFEST

Labels = NDArray[np.int64]
"""Pixels of cropland, and of other labels."""


@dataclass(frozen=True)
class FoldSummary:
    """What one fold holds.

    Attributes:
        blocks: Number of blocks.
        labelled: Pixels with a label.
        cropland: Pixels labelled cropland.
    """

    blocks: int
    labelled: int
    cropland: int

    @property
    def cropland_share(self) -> float:
        """Cropland among the labelled pixels, 0 to 1; 0 without labels."""
        return self.cropland / max(self.labelled, 1)


def summaries(held: Sequence[tuple[int, Labels]], folds: int) -> list[FoldSummary]:
    """What each fold holds, in the order of their numbers.

    Args:
        held: Fold and labels of each scene or block.
        folds: Number of folds.
    """
    of_fold = [[labels for where, labels in held if where == fold] for fold in range(folds)]
    return [FoldSummary(len(some), int(np.sum(some)), int(np.sum([labels[0] for labels in some]))) for some in of_fold]


def print_folds(folder: Path, by: str, folds: Sequence[FoldSummary]) -> None:
    """Print a line a fold on standard output.

    Args:
        folder: Where the manifest lies.
        by: Whether scenes or blocks were dealt.
        folds: What each fold holds.
    """
    parts = "scenes" if by == "scene" else "blocks"
    print(f"{folder / MANIFEST}: {sum(fold.blocks for fold in folds)} {parts} in {len(folds)} folds")
    print(f"fold  {parts}  labelled pixels  cropland share")
    for number, fold in enumerate(folds):
        print(f"{number:4d}  {fold.blocks:6d}  {fold.labelled:15d}  {fold.cropland_share:14.3f}")
