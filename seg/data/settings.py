"""Options for splitting and importing datasets. This module has no slow imports, so that `--help` is quick."""

import math
from dataclasses import dataclass, fields
from typing import Literal

from seg.errors import ConfigError, require_option
from seg.raster.label_mapping import PLAIN_LABELS, LabelMapping

SourceName = Literal["loveda", "deepglobe", "gid", "ftw"]
Boundary = Literal["cropland", "other", "ignore"]
SeasonWindow = Literal["a", "b", "both", "pair"]
GidImages = Literal["auto", "nir", "rgb"]

_OWNERS: dict[str, SourceName] = {"boundary": "ftw", "window": "ftw", "gid_images": "gid"}


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


@dataclass(frozen=True)
class ImportSettings:
    """Settings of the import of a public dataset.

    Attributes:
        copy: Copy the images; otherwise the manifest lists their original paths.
        boundary: For ftw, the label of field boundaries. If `cropland`, the masks with 2 classes are used; in these
            masks, boundaries belong to the fields.
        window: For ftw, the season of the images: planting (a) or harvest (b). `both` imports two scenes for each place
            and puts them into the same fold. `pair` imports one scene for each place with the bands of both seasons,
            such as red@planting and red@harvest.
        gid_images: For gid, the images of 4 bands (nir) or of 3 bands (rgb). `auto` uses those of 4 bands if they
            exist.
    """

    copy: bool = False
    boundary: Boundary = "cropland"
    window: SeasonWindow = "both"
    gid_images: GidImages = "auto"

    def require_fitting(self, source: SourceName) -> None:
        """Check that no setting of another dataset is set.

        Args:
            source: Dataset to import.

        Raises:
            ConfigError: A setting would have no effect.
        """
        for setting in fields(self):
            value, owner = getattr(self, setting.name), _OWNERS.get(setting.name, source)
            if owner != source and value != setting.default:
                option = setting.name.replace("_", "-")
                raise ConfigError(
                    f"--{option} is {value}, but only --source={owner} uses it; leave it out for {source}"
                )
