"""Options of the commands for new places. This module does not import torch, so that `--help` is quick."""

from dataclasses import dataclass
from pathlib import Path

from seg.errors import require_option
from seg.inference.settings import PredictionSettings


@dataclass(frozen=True, kw_only=True)
class PlaceSettings:
    """Options for reading the scenes of a place.

    Args:
        bands: 1-based bands of the scenes, in the order of the model. If null, bands are chosen by the names of the
            training bands. If the scenes have no such names, the band numbers of training are read.
        nodata: Additional value that means "no data", for files that do not declare this value; null for the value of
            training.
        pixel_size_ratio: Largest accepted ratio between the pixel sizes of the scenes and of training, at least 1.
        device: Device for the computation: auto, cpu, cuda (cuda:1 for the second GPU) or mps.

    Raises:
        ConfigError: A value is out of range.
    """

    bands: list[int] | None = None
    nodata: float | None = None
    pixel_size_ratio: float = 1.5
    device: str = "auto"

    def __post_init__(self) -> None:
        """Check the ranges by making prediction settings, which have the same limits."""
        _ = self.fitting

    @property
    def fitting(self) -> PredictionSettings:
        """Prediction settings for comparing the bands and pixel size of a scene with the model."""
        return PredictionSettings(bands=self.bands, nodata=self.nodata, pixel_size_ratio=self.pixel_size_ratio)


@dataclass(frozen=True, kw_only=True)
class AdaptationSettings:
    """Size of the sample from a new place, and weight of the place's statistics.

    Args:
        mix: Weight of the new place's statistics in BatchNorm, 0 to 1. 0 keeps the statistics of training and had the
            best scores. The band statistics are always those of the new place.
        windows: Number of sampled windows of 256 x 256 pixels, at least 1.

    Raises:
        ConfigError: A value is out of range.
    """

    mix: float = 0.0
    windows: int = 64

    def __post_init__(self) -> None:
        """Check the ranges."""
        require_option(0 <= self.mix <= 1, "mix", self.mix, "0 to 1")
        require_option(self.windows >= 1, "windows", self.windows, "at least 1")


@dataclass(frozen=True, kw_only=True)
class SuggestionSettings:
    """Number and kind of squares to suggest.

    Args:
        count: Number of squares, at least 1.
        size_m: Side of a square in metres.
        spacing_m: Smallest distance in metres between the centres of two squares; null for twice the side.
        labelled: Ground that is already labelled: a dataset, a folder of masks, a mask, or a vector file of polygons;
            null if no ground is labelled.
        zones: Vector file of zones. Each zone gets squares in proportion to its number of candidates, and at least
            one square if --count is large enough.
        zone_column: Column with the names of the zones; null to name the zones by their row numbers.
        like: Vector file of examples. If it is given, the squares that are most similar to the examples are suggested,
            instead of uncertain squares.

    Raises:
        ConfigError: A value is out of range.
    """

    count: int = 50
    size_m: float = 2560.0
    spacing_m: float | None = None
    labelled: Path | None = None
    zones: Path | None = None
    zone_column: str | None = None
    like: Path | None = None

    def __post_init__(self) -> None:
        """Check the ranges."""
        require_option(self.count >= 1, "count", self.count, "at least 1")
        require_option(0 < self.size_m < 1e6, "size-m", f"{self.size_m:g}", "metres above 0, less than 1,000 km")
        least = self.spacing_m
        require_option(least is None or 0 <= least < 1e7, "spacing-m", least, "metres from 0 on")
        alone = self.zone_column is not None and self.zones is None
        require_option(not alone, "zone-column", self.zone_column, "--zones beside it")

    @property
    def least_distance_m(self) -> float:
        """Smallest distance in metres between the centres of two squares."""
        return 2 * self.size_m if self.spacing_m is None else self.spacing_m
