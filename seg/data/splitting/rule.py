"""Options for splitting a dataset into folds. This module has no slow imports, so that `--help` is quick."""

import math
from dataclasses import dataclass
from typing import Literal

from seg.errors import require_option
from seg.raster.label_mapping import PLAIN_LABELS, LabelMapping


@dataclass(frozen=True)
class SplitRule:
    """Options for splitting a dataset into folds.

    Args:
        by: Unit of the split: whole scenes or square blocks. Scenes that are nearer to each other than the guard stay
            in one fold. Blocks are written as small VRT files.
        folds: Number of folds, 2 or more.
        seed: Seed of random choices; the same seed gives the same split.
        stratify: Give folds similar shares of cropland in a split by scene. A split by blocks always gives similar
            shares.
        block_size_m: Side of a block in metres.
        guard_m: Smallest distance between pixels of different folds, in metres.
        labels: Meaning of the mask values.

    Raises:
        ConfigError: A value is out of range.
    """

    by: Literal["scene", "blocks"] = "scene"
    folds: int = 5
    seed: int = 0
    stratify: bool = False
    block_size_m: float = 2000.0
    guard_m: float = 100.0
    labels: LabelMapping = PLAIN_LABELS

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name, number, least in (("folds", self.folds, 2), ("seed", self.seed, 0), ("guard_m", self.guard_m, 0)):
            require_option(math.isfinite(number) and number >= least, name, f"{number:g}", f"{least} or more")
        fits = math.isfinite(self.block_size_m) and self.block_size_m > 0
        require_option(fits, "block_size_m", f"{self.block_size_m:g}", "more than 0")
