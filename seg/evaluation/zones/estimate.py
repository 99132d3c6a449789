"""Cropland area of each zone from an interpreted sample of the map, by post-stratification.

A zone divides each stratum of the sample into parts. The points in a part are a random sample of its pixels, and their
number is random too. Given this number, the estimators for stratified samples hold for the zone, with the parts in the
zone as strata (Cochran 1977, Sampling Techniques, section 5A.9). The ground areas of the parts are known from the map.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from seg.errors import ConfigError, RasterError
from seg.evaluation.area.estimator import Estimate, StratifiedSample, Stratum
from seg.evaluation.area.interpreted import InterpretedSample, interpreted_sample
from seg.evaluation.area.population import Population
from seg.evaluation.area.settings import AreaSettings
from seg.evaluation.zones.polygons import Zones
from seg.evaluation.zones.settings import ZoneSettings
from seg.evaluation.zones.tally import Counts, Integers, tally_strata
from seg.labels import CROPLAND
from seg.raster.chips import BoolMask
from seg.raster.grid import read_grid, require_same_grid
from seg.raster.ground.pixel_areas import SQUARE_METRES_PER_HECTARE


@dataclass(frozen=True)
class ZoneEstimate:
    """Estimate for a zone.

    Attributes:
        points: Number of points in the zone.
        fewest: Name of the stratum with the fewest points in the zone, and the number of these points.
        area: Cropland in hectares; None if a stratum has too few points for a standard error.
        alike: Reference class by name of the stratum, only for strata whose points in the zone all have this class.
            Such strata add nothing to the standard error.
    """

    points: int
    fewest: tuple[str, int]
    area: Estimate | None
    alike: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ZoneEstimates:
    """Estimates for the zones and for the whole map.

    Attributes:
        zones: Estimates by number of the zone; number 0 stands for pixels outside all zones. None for a zone that
            contains no pixel of the sample's strata.
        whole: Cropland of the map in hectares, from all points.
        points: Number of all points.
    """

    zones: Sequence[ZoneEstimate | None]
    whole: Estimate
    points: int


def estimate_zones(
    prediction: Path, zones: Zones, points: Path, design: Path | None, settings: ZoneSettings
) -> ZoneEstimates:
    """Estimate the cropland of each zone from a sample of the map.

    Args:
        prediction: The sampled map.
        zones: Zones on the grid of the map.
        points: The drawn points, with their references.
        design: Design of the sample; None for the file beside the points.
        settings: Options of the table, with the encoding of the points.

    Raises:
        DatasetError: Points or design cannot be read, do not belong together, or lack references.
        ConfigError: The sample was drawn from another map.
        RasterError: The map is on another grid, or the zones within which the sample was drawn cannot be read.
    """
    interpreted = interpreted_sample(points, AreaSettings(encoding=settings.encoding), design)
    require_same_grid(read_grid(prediction), interpreted.grid)
    counts = _strata_by_zone(prediction, zones, interpreted, points)
    zone = zones.at(interpreted.row, interpreted.column)
    found = [_zone_estimate(number, zone == number, counts, interpreted) for number in range(len(zones) + 1)]
    return ZoneEstimates(found, interpreted.sample.area(CROPLAND), len(zone))


def _strata_by_zone(prediction: Path, zones: Zones, interpreted: InterpretedSample, points: Path) -> Counts:
    drawn_zones, screened = (
        Path(str(path)) if (path := interpreted.drawn.get(name)) else None for name in ("zones", "screened")
    )
    population = Population(prediction, drawn_zones, screened)
    try:
        population.grid()
    except RasterError as error:
        if population.zones is None or not str(error).startswith(str(population.zones)):
            raise
        raise RasterError(f"{points}: was drawn within the zones of {population.zones}, but {error}") from error
    counts = tally_strata(population, interpreted.strata, zones)
    pixels = [stratum.pixels for stratum in interpreted.strata]
    here = zones.at(interpreted.row, interpreted.column), interpreted.sample.stratum
    if counts.pixels.sum(axis=0).tolist() != pixels or not counts.pixels[here].all():
        raise ConfigError(
            f"{points}: was drawn from {interpreted.map}, which differs from --prediction {prediction}; give the map "
            "that was sampled"
        )
    return counts


def _zone_estimate(number: int, here: BoolMask, counts: Counts, interpreted: InterpretedSample) -> ZoneEstimate | None:
    pixels, sample = counts.pixels[number], interpreted.sample
    strata = np.flatnonzero(pixels)
    if not len(strata):
        return None
    place = np.full(len(pixels), -1, dtype=np.int64)
    place[strata] = np.arange(len(strata))
    stratum: Integers = place[sample.stratum[here]]
    drawn = np.bincount(stratum, minlength=len(strata))
    least = int(np.argmin(drawn))
    fewest = interpreted.strata[strata[least]].name, int(drawn[least])
    if (drawn < np.minimum(pixels[strata], 2)).any():
        return ZoneEstimate(len(stratum), fewest, None)
    assert sample.pixel_area is not None  # interpreted_sample sets the areas.
    part = StratifiedSample(
        strata=[
            Stratum(sample.strata[one].name, counts.m2[number, one] / SQUARE_METRES_PER_HECTARE, int(pixels[one]))
            for one in strata.tolist()
        ],
        stratum=stratum,
        mapped=sample.mapped[here],
        reference=sample.reference[here],
        pixel_area=sample.pixel_area[here],
    )
    only = zip(part.strata, part.only_references(), strict=True)
    alike = {stratum.name: interpreted.classes[label] for stratum, label in only if label is not None}
    return ZoneEstimate(len(stratum), fewest, part.area(CROPLAND), alike)
