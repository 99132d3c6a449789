"""Settings of a composite."""

from dataclasses import dataclass
from pathlib import Path

from seg.errors import require_option
from seg.imagery.composites.combining import Method

GIB = 2**30

LEAST_GIB = 0.75
"""Least limit of memory in GiB: the libraries, GDAL's cache and a few small blocks."""

MOST_GIB = 1024 * 1024.0


@dataclass(frozen=True, kw_only=True)
class CompositeSettings:
    """Settings of a composite.

    Args:
        method: Rule for each pixel. median: the median of each band. best: the bands of the medoid, the date that
            resembles all other dates most. first: the first date that holds data, in the order of the input.
        grid: A raster whose CRS, pixels and extent the composite gets. By default, the CRS and pixels of the first
            input, and the ground that the inputs cover together.
        bands: Bands to use, counted from 1, or their names in the inputs; all bands except alpha by default.
        nodata: Additional value that means "no data", for files that do not declare it.
        memory: Limit of the memory in GiB.
        restart: Discard the finished blocks of an interrupted run.

    Raises:
        ConfigError: The memory is out of range.
    """

    method: Method = "median"
    grid: Path | None = None
    bands: list[int | str] | None = None
    nodata: float | None = None
    memory: float = 1.5
    restart: bool = False

    def __post_init__(self) -> None:
        """Check the memory."""
        require_option(LEAST_GIB <= self.memory <= MOST_GIB, "memory", self.memory, f"{LEAST_GIB} GiB or more")
