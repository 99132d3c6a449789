"""Options for converting a map to parcels. This module imports nothing heavy, so that `--help` is quick."""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from seg.errors import ConfigError, require_option, require_threads

_HECTARE_M2 = 10_000.0
UNITS_M2 = {
    "m2": 1.0,
    "m²": 1.0,
    "ha": _HECTARE_M2,
    "mu": _HECTARE_M2 / 15,
    "亩": _HECTARE_M2 / 15,
}
"""Square metres per unit; 15 mu (亩), China's unit of land area, are one hectare."""

_SIZE = re.compile(r"\s*(\d+\.?\d*|\.\d+)\s*(\D\S*)?\s*")


@dataclass(frozen=True, kw_only=True)
class PolygonSettings:
    """Options for converting a map to parcels.

    Args:
        min_area: Smallest parcel to keep: a number and a unit, such as 0.5ha. Units are m2, ha and mu (亩, a fifteenth
            of a hectare). 0 keeps all parcels.
        min_hole: Smallest hole to keep, in the same units. Smaller holes are filled; parcels inside a filled hole
            disappear.
        simplify: Tolerance in metres for simplified outlines: removing a vertex may change an area of at most the
            tolerance squared. Neighbours keep common edges. 0 keeps the pixel edges.
        probability: Probability map from predict.py on the same grid (percent, 255 nodata). Parcels get two columns:
            their mean probability and their share of uncertain pixels. Pixels of filled holes do not count. null adds
            no columns.
        uncertain: Lowest and highest probability of an uncertain pixel.
        interior: Map from predict.py --interior on the same grid: cropland without the edges of parcels. Touching
            parcels are split and then share an edge. null splits no parcels.
        growth: Distance in pixels, along rows and columns, by which interiors grow back; cropland farther from all
            interiors forms parcels of its own.
        crs: CRS of the output, such as EPSG:4526; it does not affect areas. cgcs2000-3deg and cgcs2000-6deg choose the
            Gauss-Kruger zone of CGCS2000 at the centre of the map, with the number of the zone in the eastings (EPSG
            4513-4533 and 4491-4501); cgcs2000-3deg-cm and cgcs2000-6deg-cm are the same zones without this number (EPSG
            4534-4554 and 4502-4512). null keeps the CRS of the map.
        encoding: Encoding of a shapefile's names and text; null means utf-8.
        attributes: Polygons in any format and CRS, such as counties or owners; `FILE|layername=NAME` for one of several
            layers. Each parcel gets the columns of the polygon with which it shares the largest area. null adds no
            columns.
        block_size: Side in pixels of the blocks in which the map is read; affects memory, not the result.
        threads: Number of threads that read and trace blocks.

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
    crs: str | None = None
    encoding: Literal["utf-8", "gbk"] | None = None
    attributes: Path | None = None
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
        require_threads(self.threads, least=1)

    @property
    def min_area_m2(self) -> float:
        """Smallest parcel to keep, in square metres."""
        return square_metres(self.min_area, "min-area")

    @property
    def min_hole_m2(self) -> float:
        """Smallest hole to keep, in square metres."""
        return square_metres(self.min_hole, "min-hole")


def square_metres(size: str, option: str) -> float:
    """Convert a size to square metres.

    Args:
        size: A number and a unit, such as "0.5ha"; 0 needs no unit.
        option: Name of the option, for errors.

    Raises:
        ConfigError: The size is not a number with a known unit.
    """
    found = _SIZE.fullmatch(size)
    number, unit = (float(found[1]), (found[2] or "").lower()) if found else (math.nan, "")
    if number == 0 and not unit:
        return 0.0
    if unit not in UNITS_M2:
        raise ConfigError(f"--{option} is '{size}'; wanted a number and a unit, such as 500m2, 0.5ha, 1mu or 1亩")
    return number * UNITS_M2[unit]
