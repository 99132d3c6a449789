"""Options of the county table. This module imports little, so `--help` is quick."""

from dataclasses import dataclass, field
from pathlib import Path

from seg.errors import ConfigError, require_option
from seg.evaluation.settings import EvaluationSettings, Language
from seg.raster.label_mapping import PLAIN_LABELS, LabelMapping
from seg.raster.vectors.settings import LAYER, BurnSettings, require_encoding


@dataclass(frozen=True)
class ZoneInputs:
    """Files of a county table.

    Args:
        prediction: The class map: 0 other, 1 cropland, 255 or nodata for no class.
        zones: Polygons of the zones in any CRS and format that GDAL reads; `FILE|layername=NAME` for one of several
            layers. Zones must not overlap.
        reference: Mask on the map's grid, or polygons, for the accuracy of each zone.
        points: Points that `sample` drew from this map, with references in the column `reference`. With points, the
            table has estimates with intervals.
        design: Design written by `sample`; by default the file beside the points.
    """

    prediction: Path
    zones: Path
    reference: Path | None = None
    points: Path | None = None
    design: Path | None = None

    def __post_init__(self) -> None:
        """Check the options against each other.

        Raises:
            ConfigError: A design is given without points.
        """
        if self.design is not None and self.points is None:
            raise ConfigError(f"--design {self.design} needs --points, the interpreted points of this design")

    @property
    def zone_file(self) -> Path:
        """File of the zones, without the name of a layer."""
        return Path(str(self.zones).partition(LAYER)[0])

    @property
    def files(self) -> list[Path | None]:
        """All files that are read."""
        design = self.design or (self.points.with_suffix(".design.json") if self.points else None)
        return [self.prediction, self.zone_file, self.reference, self.points, design]


@dataclass(frozen=True, kw_only=True)
class ZoneSettings:
    """Options of the county table.

    Args:
        zone_attribute: Column with the names of the zones; features with the same name form one zone. null takes the
            first text column whose values are all present and different.
        labels: Meaning of the values of a raster reference.
        vector: Burning of a vector reference onto the map's grid.
        min_parcel: Smallest parcel to count, in pixels.
        min_points: Least number of points of each stratum in a zone. With fewer points, the zone gets a note. The
            normal approximation of the interval needs about 20 points.
        confidence: Confidence of the intervals, above 0 and below 1.
        encoding: Encoding of the text of the points, such as GBK; null for the encoding that the file states.
        lang: Language of the page, the chart and the headings of the workbook: English or Chinese.

    Raises:
        ConfigError: A value is out of range.
    """

    zone_attribute: str | None = None
    labels: LabelMapping = PLAIN_LABELS
    vector: BurnSettings = field(default_factory=BurnSettings)
    min_parcel: int = 1
    min_points: int = 20
    confidence: float = 0.95
    encoding: str | None = None
    lang: Language = "en"

    def __post_init__(self) -> None:
        """Check the ranges."""
        require_encoding(self.encoding)
        require_option(self.min_parcel >= 1, "min-parcel", self.min_parcel, "1 pixel or more")
        require_option(self.min_points >= 2, "min-points", self.min_points, "2 or more")
        require_option(0 < self.confidence < 1, "confidence", self.confidence, "a share above 0 and below 1")

    @property
    def reading(self) -> EvaluationSettings:
        """Settings for reading a reference."""
        return EvaluationSettings(labels=self.labels, vector=self.vector)
