"""Options for comparing maps, for the report and for change. This module imports little, so `--help` is quick."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from seg.errors import ConfigError, require_option
from seg.parcels.settings import square_metres
from seg.raster.label_mapping import PLAIN_LABELS, LabelMapping
from seg.raster.vectors.settings import BurnSettings

FEW_BLOCKS = 20
SMALLEST_BLOCK = 64
LARGEST_CHIP = 256
MOST_DRAWS = 100_000
"""Largest number of bootstrap draws; the scores of all draws are in memory at the same time."""


MOST_PATCHES = 2000
"""Largest number of polygons on a sheet; each takes about 10 kB."""

Language = Literal["en", "zh"]


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """Options for comparing maps with references.

    Args:
        labels: Meaning of the values of a raster reference.
        vector: Burning of a vector reference onto the map's grid.
        tolerances: Distances at which boundaries are scored, in metres, or in pixels if a map has no CRS; null for one,
            two and four pixels.
        object_iou: Intersection over union above which a mapped parcel matches a reference parcel, 0.5 or more.
        min_parcel: Smallest parcel to count, in pixels, in both map and reference. With 1, a single wrong pixel counts
            as a parcel.
        bootstrap: Number of bootstrap draws for the 95 % intervals; 0 for no intervals.
        bootstrap_unit: Unit that is drawn; auto draws scenes if there are ten or more, and blocks otherwise.
        block_size: Side of a block in pixels; it should be well above the autocorrelation range of the errors. auto is
            twice the chip size; the side is halved, down to 64, while there are fewer than 20 blocks.
        chip_size: Side in pixels of the windows listed as worst. auto is 256; the side is halved, down to 64, while
            there are fewer windows than `worst`.
        worst: Number of worst windows to list.
        seed: Seed of the bootstrap draws.
        window_size: Side in pixels of the windows that are read; changes memory and time, not the scores.

    Raises:
        ConfigError: A value is out of range.
    """

    labels: LabelMapping = PLAIN_LABELS
    vector: BurnSettings = field(default_factory=BurnSettings)
    tolerances: list[float] | None = None
    object_iou: float = 0.5
    min_parcel: int = 1
    bootstrap: int = 1000
    bootstrap_unit: Literal["auto", "scene", "block"] = "auto"
    block_size: int | Literal["auto"] = "auto"
    chip_size: int | Literal["auto"] = "auto"
    worst: int = 12
    seed: int = 0
    window_size: int = 1024

    def __post_init__(self) -> None:
        """Check the ranges."""
        given = self.tolerances
        require_option(
            given is None or (len(given) > 0 and min(given) >= 0), "tolerances", given, "distances of 0 or more"
        )
        require_option(0.5 <= self.object_iou < 1, "object-iou", self.object_iou, "0.5 or more, below 1")
        for option in ("worst", "seed"):
            require_option(getattr(self, option) >= 0, option, getattr(self, option), "0 or more")
        require_option(0 <= self.bootstrap <= MOST_DRAWS, "bootstrap", self.bootstrap, f"0 to {MOST_DRAWS:,}")
        require_option(self.min_parcel >= 1, "min-parcel", self.min_parcel, "1 pixel or more")
        chip, block = LARGEST_CHIP if self.chip_size == "auto" else self.chip_size, self.block_size
        for option, side in (("chip_size", chip), ("window_size", self.window_size)):
            require_option(side >= 16, option, side, "16 pixels or more")
        fits = block == "auto" or (block > 0 and max(chip, block) % min(chip, block) == 0)
        require_option(fits, "block-size", block, f"auto, or a multiple or a whole fraction of --chip-size, {chip}")

    def fitting_block_size(self, sizes: Sequence[tuple[int, int]]) -> int:
        """Side of a block in pixels.

        Args:
            sizes: Height and width of each scene.
        """
        if self.block_size != "auto":
            return self.block_size
        return _halved(2 * self.fitting_chip_size(sizes), sizes, FEW_BLOCKS)

    def fitting_chip_size(self, sizes: Sequence[tuple[int, int]]) -> int:
        """Side of a listed window in pixels.

        Args:
            sizes: Height and width of each scene.
        """
        return _halved(LARGEST_CHIP, sizes, self.worst) if self.chip_size == "auto" else self.chip_size


@dataclass(frozen=True, kw_only=True)
class PageSettings:
    """Options of the report's page.

    Args:
        lang: Language of `index.html`: English or Chinese.
        area_estimate: The `area.json` that `evaluate.py area` wrote for the same map, shown beside the accuracy.
    """

    lang: Language = "en"
    area_estimate: Path | None = None


def _halved(size: int, sizes: Sequence[tuple[int, int]], wanted: int) -> int:
    """Halve a side until there are at least `wanted` blocks, but not below SMALLEST_BLOCK."""
    while size % 2 == 0 and size // 2 >= SMALLEST_BLOCK and _blocks(sizes, size) < wanted:
        size //= 2
    return size


def _blocks(sizes: Sequence[tuple[int, int]], size: int) -> int:
    return sum(-(-height // size) * -(-width // size) for height, width in sizes)


@dataclass(frozen=True)
class ChangeSettings:
    """Smallest change that becomes a polygon, and the confidence that a supported change needs.

    Attributes:
        min_area: Smallest polygon to keep: a number and a unit, such as 0.5ha. Units are m2, ha and mu (亩, a fifteenth
            of a hectare). 0 keeps all polygons. The raster and its totals keep every pixel.
        confidence: A change is supported if the probability that both maps are right is above this number. This
            probability is (1 - before) * after for a gain, and before * (1 - after) for a loss; it is valid for
            calibrated probabilities and independent errors of the two maps.
        sheet: Number of polygons on the printable sheet, sheet.html; 0 for no sheet.
        lang: Language of the sheet: English or Chinese.
    """

    min_area: str = "0"
    confidence: float = 0.5
    sheet: int = 60
    lang: Language = "en"

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: A value is out of range.
        """
        _ = self.min_area_m2
        require_option(0 <= self.sheet <= MOST_PATCHES, "sheet", self.sheet, f"0 to {MOST_PATCHES:,}")
        if not 0 < self.confidence < 1:
            raise ConfigError(f"--confidence is {self.confidence}; wanted a probability above 0 and below 1")

    @property
    def min_area_m2(self) -> float:
        """Smallest polygon to keep, in square metres."""
        return square_metres(self.min_area, "min-area")
