"""Rows of the county table. Totals are sums of the rounded rows, so the columns of the table add up exactly."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from seg.evaluation.area.estimator import Estimate
from seg.evaluation.counts.confusion import ConfusionCounts
from seg.evaluation.counts.tiles import as_confusion
from seg.evaluation.zones.estimate import ZoneEstimate, ZoneEstimates
from seg.evaluation.zones.polygons import Zones
from seg.evaluation.zones.settings import ZoneSettings
from seg.evaluation.zones.tally import CLASSES, ZoneTally
from seg.labels import CROPLAND, IGNORE
from seg.raster.ground.pixel_areas import SQUARE_METRES_PER_HECTARE

OUTSIDE, WHOLE = "(outside all zones)", "(whole map)"
"""Names of the last two rows."""

_MU_PER_M2 = 3 / 2000
_DECIMALS = 1000
"""Areas in mu are rounded to a thousandth of a mu, which is 0.7 square metres."""

_SLIGHT = 1e-3
"""A row has a caution if the share of the zone's pixels without a class is larger than this."""

Figure = str | float | int | bool | None


@dataclass(frozen=True)
class Mapped:
    """Mapped areas of a zone. Hectares are rounded to whole square metres, mu to thousandths.

    Attributes:
        cropland_ha: Mapped cropland in hectares.
        cropland_mu: Mapped cropland in mu (亩, a fifteenth of a hectare).
        cropland_share: Share of the mapped area that is cropland, 0 to 1; None if no pixel has a class.
        parcels: Number of parcels of mapped cropland.
        mapped_ha: Ground area of the pixels with a class.
        unmapped_ha: Ground area of the pixels without a class.
        pixels: Number of pixels with a class.
    """

    cropland_ha: float
    cropland_mu: float
    cropland_share: float | None
    parcels: int
    mapped_ha: float
    unmapped_ha: float
    pixels: int


@dataclass(frozen=True)
class Extent:
    """Extent of a zone; both values are None in the rows OUTSIDE and WHOLE.

    Attributes:
        zone_ha: Ground area of the zone, including parts beyond the map.
        cut: True if the zone reaches beyond the map.
    """

    zone_ha: float | None = None
    cut: bool | None = None


@dataclass(frozen=True)
class Estimated:
    """Cropland of a zone estimated from a sample.

    Attributes:
        points: Number of points.
        estimated_ha: Estimate in hectares. None, like the next three values, if there are too few points.
        standard_error_ha: Standard error of the estimate.
        low_ha: Lower end of the confidence interval.
        high_ha: Upper end of the confidence interval.
    """

    points: int
    estimated_ha: float | None = None
    standard_error_ha: float | None = None
    low_ha: float | None = None
    high_ha: float | None = None


@dataclass(frozen=True)
class Compared:
    """Accuracy of a zone over the compared pixels, which have a class and a label.

    Attributes:
        ma: Area accuracy 1 - |1 - mapped / reference area| of cropland; below 0 if the mapped area is more than twice
            the reference area.
        lr: Omission: share of the reference's cropland that is mapped as other.
        cr: Commission: share of the mapped cropland that is other in the reference.
        iou: Intersection over union of cropland.
        compared_ha: Ground area of the compared pixels.
    """

    ma: float | None
    lr: float | None
    cr: float | None
    iou: float | None
    compared_ha: float


@dataclass(frozen=True)
class Caution:
    """A reason to read a row with care.

    Attributes:
        key: "cut", "unmapped", "few_points", "no_estimate" or "alike".
        values: Values for the placeholders in the text of the caution, by name.
    """

    key: str
    values: Mapping[str, str | int | float]


@dataclass(frozen=True)
class Row:
    """Figures of a zone.

    Attributes:
        zone: Name of the zone, OUTSIDE or WHOLE.
        mapped: Mapped areas.
        extent: Extent of the zone.
        estimated: Estimate; None if there is no sample.
        compared: Accuracy; None if there is no reference.
        cautions: Reasons to read the row with care.
    """

    zone: str
    mapped: Mapped
    extent: Extent
    estimated: Estimated | None
    compared: Compared | None
    cautions: tuple[Caution, ...] = ()

    def figures(self) -> dict[str, Figure]:
        """Figures by name, without the cautions."""
        found: dict[str, Figure] = {"zone": self.zone}
        for group in (self.mapped, self.extent, self.estimated, self.compared):
            if group is not None:
                found |= {one.name: getattr(group, one.name) for one in fields(group)}
        return found


def zone_rows(zones: Zones, tally: ZoneTally, estimates: ZoneEstimates | None, settings: ZoneSettings) -> list[Row]:
    """Rows of the zones in their order, then OUTSIDE (if a pixel lies outside all zones), then WHOLE.

    Args:
        zones: The zones.
        tally: Totals by zone.
        estimates: Estimates by zone; None if there is no sample.
        settings: Options of the table, with the confidence of the intervals and the fewest points of a stratum.
    """
    table = _Table(tally, estimates, settings)
    rows = []
    for number, name in enumerate(zones.names, start=1):
        extent = Extent(round(float(zones.hectares[number - 1]), 4), bool(zones.cut[number - 1]))
        rows.append(table.row(name, number, extent))
    if tally.classes.pixels[0].any():
        rows.append(table.row(OUTSIDE, 0, Extent()))
    return [*rows, table.whole()]


class _Table:
    def __init__(self, tally: ZoneTally, estimates: ZoneEstimates | None, settings: ZoneSettings) -> None:
        self._tally, self._estimates, self._settings = tally, estimates, settings
        crop = CLASSES.index(CROPLAND)
        self._m2 = np.rint(tally.classes.m2).astype(np.int64)
        self._mu = np.rint(tally.classes.m2[:, crop] * _MU_PER_M2 * _DECIMALS).astype(np.int64)

    def row(self, name: str, number: int, extent: Extent) -> Row:
        mapped = self._mapped([number])
        estimate = self._estimates.zones[number] if self._estimates else None
        cautions = [*_extent_cautions(mapped, extent), *self._point_cautions(estimate)]
        estimated = self._estimated(estimate) if self._estimates else None
        return Row(name, mapped, extent, estimated, self._compared([number]), tuple(cautions))

    def whole(self) -> Row:
        every = list(range(len(self._m2)))
        found = self._estimates
        estimated = None if found is None else self._figures(found.points, found.whole)
        return Row(WHOLE, self._mapped(every), Extent(), estimated, self._compared(every))

    def _mapped(self, numbers: list[int]) -> Mapped:
        other, cropland, without = self._m2[numbers].sum(axis=0).tolist()
        pixels = self._tally.classes.pixels[numbers].sum(axis=0).tolist()
        return Mapped(
            cropland_ha=cropland / SQUARE_METRES_PER_HECTARE,
            cropland_mu=int(self._mu[numbers].sum()) / _DECIMALS,
            cropland_share=cropland / (cropland + other) if cropland + other else None,
            parcels=int(self._tally.parcels[numbers].sum()),
            mapped_ha=(other + cropland) / SQUARE_METRES_PER_HECTARE,
            unmapped_ha=without / SQUARE_METRES_PER_HECTARE,
            pixels=sum(pixels) - pixels[CLASSES.index(IGNORE)],
        )

    def _compared(self, numbers: list[int]) -> Compared | None:
        confusion = self._tally.confusion
        if confusion is None:
            return None
        m2 = confusion.m2[numbers].sum(axis=0)
        tp, fp, fn, _ = m2[:4].tolist()
        counts: ConfusionCounts = as_confusion(confusion.pixels[numbers].sum(axis=0))
        recall, precision = counts.recall, counts.precision
        return Compared(
            # The last digits of the sums depend on the size of the windows, so they are rounded away.
            ma=round(1 - abs(1 - (tp + fp) / (tp + fn)), 9) if tp + fn else None,
            lr=None if recall is None else 1 - recall,
            cr=None if precision is None else 1 - precision,
            iou=counts.iou,
            compared_ha=round(float(m2[:4].sum()) / SQUARE_METRES_PER_HECTARE, 4),
        )

    def _estimated(self, estimate: ZoneEstimate | None) -> Estimated:
        return Estimated(0) if estimate is None else self._figures(estimate.points, estimate.area)

    def _figures(self, points: int, area: Estimate | None) -> Estimated:
        if area is None:
            return Estimated(points)
        low, high = area.interval(self._settings.confidence)
        return Estimated(points, *(round(value, 4) for value in (area.value, area.standard_error, low, high)))

    def _point_cautions(self, estimate: ZoneEstimate | None) -> Iterable[Caution]:
        if estimate is None:
            return
        stratum, points = estimate.fewest
        if estimate.area is None:
            yield Caution("no_estimate", {"stratum": stratum, "points": points})
        elif points < self._settings.min_points:
            yield Caution("few_points", {"stratum": stratum, "points": points, "wanted": self._settings.min_points})
        for name, only in estimate.alike.items():
            yield Caution("alike", {"stratum": name, "name": only})


def _extent_cautions(mapped: Mapped, extent: Extent) -> Sequence[Caution]:
    found = []
    area = mapped.mapped_ha + mapped.unmapped_ha
    if extent.cut and extent.zone_ha:
        found.append(Caution("cut", {"share": min(area / extent.zone_ha, 1.0)}))
    if extent.zone_ha is not None and area and mapped.unmapped_ha / area > _SLIGHT:
        found.append(Caution("unmapped", {"share": mapped.unmapped_ha / area}))
    return found
