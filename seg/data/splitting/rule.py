"""What a split shall be like."""

import math
from dataclasses import dataclass
from typing import Literal

from seg.errors import ConfigError
from seg.raster.label_mapping import PLAIN_LABELS, LabelMapping


@dataclass(frozen=True)
class SplitRule:
    """How a dataset is split.

    Attributes:
        by: Whole scenes, or square blocks of them.
        folds: Number of folds, 2 or more.
        seed: Decides what is random.
        stratify: Deal scenes so that folds are alike in cropland share; blocks always are.
        block_size_m: Side of a block in metres.
        guard_m: Least distance between pixels of different folds, in metres.
        labels: What the values of the masks mean.
    """

    by: Literal["scene", "blocks"] = "scene"
    folds: int = 5
    seed: int = 0
    stratify: bool = False
    block_size_m: float = 2000.0
    guard_m: float = 100.0
    labels: LabelMapping = PLAIN_LABELS

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: One cannot work.
        """
        limits = {"folds": (self.folds, 2), "seed": (self.seed, 0), "guard-m": (self.guard_m, 0)}
        for name, (number, least) in limits.items():
            if not (math.isfinite(number) and number >= least):
                raise ConfigError(f"--{name} is {number:g}; wanted {least} or more")
        if not (math.isfinite(self.block_size_m) and self.block_size_m > 0):
            raise ConfigError(f"--block-size-m is {self.block_size_m:g}; wanted more than 0")
