"""An interpreted sample: points with their references, the design, and the evaluated map."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from seg.errors import ConfigError, DatasetError, RasterError
from seg.evaluation.area.design import Design, design_path, read_design
from seg.evaluation.area.estimator import StratifiedSample, Stratum
from seg.evaluation.area.points import (
    References,
    named_points,
    read_labels,
    read_references,
)
from seg.evaluation.area.population import Population, StratumTally, class_names
from seg.evaluation.area.settings import AreaSettings, Unfilled
from seg.labels import IGNORE
from seg.raster.chips import read_band
from seg.raster.classes import class_band
from seg.raster.grid import Grid, open_raster, read_grid, require_same_grid
from seg.raster.sources import raster_sha256
from seg.terminal.text import counted

SAME_EXTENT = 1e-3
"""Largest relative difference between the area of another map and the area of the sampled map."""


@dataclass(frozen=True)
class InterpretedSample:
    """A sample with its references, and the map that it evaluates.

    Attributes:
        sample: Input of the estimators; areas in hectares.
        classes: Names of the classes by value, including classes that occur only in references.
        mapped_ha: Mapped area of each class in hectares.
        map: Path of the evaluated map.
        map_sha256: SHA-256 of the map's file; None for a map on a server.
        unfilled: Number of points without a reference.
        drawn: Options of the draw, by name.
        grid: Grid of the sampled map.
        strata: Strata of the sampled map, in the order of `sample.strata`.
        row: (N,) row of each pixel of the sample, from 0.
        column: (N,) column of each pixel of the sample, from 0.
    """

    sample: StratifiedSample
    classes: dict[int, str]
    mapped_ha: dict[int, float]
    map: str
    map_sha256: str | None
    unfilled: int
    drawn: dict[str, object]
    grid: Grid
    strata: Sequence[StratumTally]
    row: NDArray[np.int64]
    column: NDArray[np.int64]


def interpreted_sample(
    points: Path, settings: AreaSettings, design: Path | None = None, prediction: Path | None = None
) -> InterpretedSample:
    """Read a sample with its references.

    Args:
        points: The drawn points with the column `reference` filled: GeoPackage, GeoJSON or CSV.
        settings: Treatment of points without a reference.
        design: Design of the sample; None for the file beside the points.
        prediction: Another map of the same classes on the same grid, to be evaluated with the same points; None for the
            sampled map.

    Raises:
        DatasetError: Points or design cannot be read, do not belong together, or lack references.
        RasterError: The other map cannot be read, or has no class at a point.
        ConfigError: The map lacks the class that the settings give to unfilled points.
    """
    references = read_references(points, settings.encoding)
    drawn = read_design(design or design_path(points))
    order = _places(references, drawn)
    labels, filled = read_labels(references, drawn.classes)
    reference = np.full(len(drawn.ids), -1)
    reference[order[filled]] = labels[filled]
    kept, unfilled = _settle(reference, settings.unfilled, drawn, points)
    judged = _judged(drawn, prediction)
    sample = StratifiedSample(
        strata=[Stratum(stratum.name, stratum.area_ha, stratum.pixels) for stratum in drawn.strata],
        stratum=drawn.stratum[kept],
        mapped=judged.labels[kept],
        reference=reference[kept],
        pixel_area=drawn.pixel_area_m2[kept],
    )
    _require_enough(sample, points)
    return InterpretedSample(
        sample=sample,
        classes=drawn.classes | judged.classes,
        mapped_ha=judged.mapped_ha,
        map=judged.map,
        map_sha256=judged.sha256,
        unfilled=unfilled,
        drawn=drawn.settings,
        grid=drawn.grid,
        strata=drawn.strata,
        row=drawn.row[kept],
        column=drawn.column[kept],
    )


@dataclass(frozen=True)
class _Judged:
    labels: NDArray[np.int64]
    classes: dict[int, str]
    mapped_ha: dict[int, float]
    map: str
    sha256: str | None


def _places(references: References, design: Design) -> NDArray[np.int64]:
    """Index of each point within the design."""
    place = {number: index for index, number in enumerate(design.ids.tolist())}
    strange = np.array([number not in place for number in references.ids.tolist()], dtype=np.bool_)
    if strange.any():
        raise DatasetError(
            f"{references.path}: {named_points(references.ids[strange])} missing from the design of the sample; "
            "give the design of these points with --design"
        )
    order = np.array([place[number] for number in references.ids.tolist()], dtype=np.int64)
    if references.place is not None:
        moved = (references.place != np.column_stack([design.row, design.column])[order]).any(axis=1)
        if moved.any():
            raise DatasetError(
                f"{references.path}: {named_points(references.ids[moved])} on another row or column than in the "
                "design of the sample; give the design of these points with --design"
            )
    return order


def _settle(
    reference: NDArray[np.int64], unfilled: Unfilled, design: Design, path: Path
) -> tuple[NDArray[np.int64], int]:
    """Refuse, drop or fill in points without a reference, in place.

    Returns the indexes of the kept points, (K,), and the number of points without a reference.
    """
    empty = reference < 0
    if unfilled == "refuse" and empty.any():
        raise DatasetError(
            f"{path}: {named_points(design.ids[empty])} of {len(empty)} without a reference; fill them in, or choose "
            "--unfilled drop, other or cropland"
        )
    if unfilled in ("other", "cropland"):
        labels = [label for label, name in design.classes.items() if name == unfilled]
        if not labels:
            named = ", ".join(design.classes.values())
            raise ConfigError(f"--unfilled is {unfilled}, but the map's classes are {named}; wanted refuse or drop")
        reference[empty] = labels[0]
    return np.flatnonzero(reference >= 0), int(empty.sum())


def _judged(design: Design, prediction: Path | None) -> _Judged:
    """Classes of the evaluated map at the points, and the map's area by class."""
    labels = np.array([stratum.label for stratum in design.strata], dtype=np.int64)
    if prediction is None:
        mapped = dict.fromkeys(design.classes, 0.0)
        for stratum in design.strata:
            mapped[stratum.label] += stratum.area_ha
        return _Judged(labels[design.stratum], dict(design.classes), mapped, design.map, design.map_sha256)
    require_same_grid(read_grid(prediction), design.grid)
    tallied = Population(prediction).tally()
    covered, stood_for = (sum(stratum.area_ha for stratum in strata) for strata in (tallied, design.strata))
    if abs(covered / stood_for - 1) > SAME_EXTENT:
        raise RasterError(
            f"{prediction}: covers {covered:,.1f} ha, but the sample represents {stood_for:,.1f} ha; give a map that "
            f"covers the same area as {design.map}, with nodata elsewhere"
        )
    with open_raster(prediction) as dataset:
        band = class_band(dataset)
        windows = [Window(column, row, 1, 1) for row, column in zip(design.row, design.column, strict=True)]
        read = [read_band(dataset, band, window) for window in windows]
    found = np.array([int(values.item()) if valid.item() else IGNORE for values, valid in read])
    if (found == IGNORE).any():
        raise RasterError(
            f"{prediction}: has no class at {named_points(design.ids[found == IGNORE])}; give a map that covers all of "
            f"{design.map}"
        )
    names = class_names(prediction, {stratum.label for stratum in tallied})
    mapped = {one.label: one.area_ha for one in tallied}
    return _Judged(found, names, mapped, str(prediction), raster_sha256(prediction))


def _require_enough(sample: StratifiedSample, path: Path) -> None:
    counts = np.bincount(sample.stratum, minlength=len(sample.strata))
    for stratum, count in zip(sample.strata, counts.tolist(), strict=True):
        if count < min(2, stratum.pixels or 2):
            raise DatasetError(
                f"{path}: stratum '{stratum.name}' has {counted(count, 'point')} with a reference; wanted at least 2 "
                "for a standard error; interpret more points of this stratum"
            )
