"""How a map is turned into parcels: the options of the command line."""

import math
import re
from dataclasses import dataclass
from pathlib import Path

from seg.errors import ConfigError, require_option


@dataclass(frozen=True, kw_only=True)
class PolygonSettings:
    """How a map is turned into parcels.

    Args:
        min_area: Parcels smaller than this are left out: a number and m2, ha or mu (亩, a fifteenth of a hectare), such
            as 0.5ha; 0 keeps all.
        min_hole: Holes smaller than this are filled, likewise; smaller parcels within go to the one around them.
        simplify: Tolerance in metres within which outlines are simplified, the square root of the area that leaving out
            a vertex may change; edges between parcels stay shared. 0 keeps the edges of the pixels.
        probability: Probability map of predict.py on the same grid (percent, 255 nodata): gives each parcel its mean
            probability and the share of its pixels that are uncertain, without those of filled holes; null for neither.
        uncertain: Probabilities from here to there count as uncertain.
        interior: Map on the same grid of cropland without the edges of parcels, as predict.py --interior writes it:
            touching parcels are split where it is, and share an edge then; null for no splitting.
        growth: How many pixels the interiors grow back, along rows and columns; cropland farther from any of them makes
            parcels of its own.
        block_size: Side of the blocks that the map is read in, in pixels; changes memory, never the result.
        threads: Threads that read and trace blocks.

    Raises:
        ConfigError: A value is out of range.
    """

    min_area: str = "0"
    min_hole: str = "0"
    simplify: float = 0.0
    probability: Path | None = None
    uncertain: tuple[float, float] = (0.25, 0.75)
    interior: Path | None = None
    growth: int = 10
    block_size: int = 2048
    threads: int = 2

    def __post_init__(self) -> None:
        """Check the ranges."""
        _ = self.min_area_m2, self.min_hole_m2
        low, high = self.uncertain
        require_option(0 <= self.simplify < float("inf"), "simplify", self.simplify, "0 metres or more")
        require_option(0 <= low <= high <= 1, "uncertain", list(self.uncertain), "two probabilities in order, 0 to 1")
        require_option(self.growth >= 0, "growth", self.growth, "0 pixels or more")
        require_option(self.block_size >= 1, "block-size", self.block_size, "1 pixel or more")
        require_option(self.threads >= 1, "threads", self.threads, "1 or more")

    @property
    def min_area_m2(self) -> float:
        """Smallest parcel that is kept, in square metres."""
        return square_metres(self.min_area, "min-area")

    @property
    def min_hole_m2(self) -> float:
        """Smallest hole that is kept, in square metres."""
        return square_metres(self.min_hole, "min-hole")


_HECTARE_M2 = 10_000.0
UNITS_M2 = {
    "m2": 1.0,
    "m²": 1.0,
    "ha": _HECTARE_M2,
    "mu": _HECTARE_M2 / 15,
    "亩": _HECTARE_M2 / 15,
}
"""Square metres of each unit. Fifteen mu (亩), the land unit of China, are a hectare."""

_SIZE = re.compile(r"\s*(\d+\.?\d*|\.\d+)\s*(\D\S*)?\s*")


def square_metres(size: str, option: str) -> float:
    """A size in square metres.

    Args:
        size: A number and a unit, such as "0.5ha"; 0 needs no unit.
        option: Whose value it is, for the message.

    Raises:
        ConfigError: It is no number, or has no unit that is known.
    """
    found = _SIZE.fullmatch(size)
    number, unit = (float(found[1]), (found[2] or "").lower()) if found else (math.nan, "")
    if number == 0 and not unit:
        return 0.0
    if unit not in UNITS_M2:
        raise ConfigError(f"--{option} is '{size}'; wanted a number and a unit, such as 500m2, 0.5ha, 1mu or 1亩")
    return number * UNITS_M2[unit]
