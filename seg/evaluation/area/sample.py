"""Stratified sample of a class map for interpretation: `scripts/evaluate.py sample`."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seg.errors import ConfigError
from seg.evaluation.area.allocation import (
    Expectation,
    allocate,
    expected_error,
    least_sample,
)
from seg.evaluation.area.design import Design, design_path, is_design, write_design
from seg.evaluation.area.draw import draw
from seg.evaluation.area.points import write_points
from seg.evaluation.area.population import Population, StratumTally, class_names
from seg.evaluation.area.settings import SampleSettings
from seg.files import remove_unfinished, require_output_file
from seg.labels import CROPLAND, LABEL_NAMES
from seg.raster.ground.pixel_areas import PixelAreas
from seg.raster.sources import raster_sha256
from seg.terminal.text import text_table


def sample_map(population: Population, output: Path, settings: SampleSettings) -> Design:
    """Draw a sample, print a summary, and write the points and the design.

    Args:
        population: The class map and its zones.
        output: GeoPackage for the points. An existing file is refused, since it may hold an interpreter's work. The
            file of the design may exist with the same content, since a killed run may have written this file.
        settings: Size and allocation of the sample.

    Returns:
        Design of the sample.

    Raises:
        ConfigError: The output cannot be written, or a setting does not fit the map.
        RasterError: The map or the zones cannot be read, are not classes, or have no known ground area.
        WriteError: The points or the design cannot be written.
    """
    require_output_file(output, [".gpkg"])
    _require_new(output)
    strata = population.tally()
    classes = class_names(population.map, {stratum.label for stratum in strata})
    expected = _expectation(strata, classes, settings)
    counts = _counts(population.map, strata, expected, settings)
    drawn = draw(population, strata, counts, settings.seed)
    grid = population.grid()
    design = Design(
        map=str(population.map),
        map_sha256=raster_sha256(population.map),
        grid=grid,
        settings=_sources(population) | asdict(settings),
        classes=classes,
        strata=strata,
        ids=np.arange(1, len(drawn.row) + 1),
        stratum=drawn.stratum,
        row=drawn.row,
        column=drawn.column,
        pixel_area_m2=PixelAreas(grid).at(drawn.row, drawn.column),
    )
    with ExitStack() as undo:
        if not is_design(design, design_path(output)):
            _require_new(design_path(output))
            write_design(design, design_path(output))
            undo.callback(design_path(output).unlink)
        write_points(output, grid, drawn.row, drawn.column)
        undo.pop_all()
    print(_strata_table(design, counts))
    error = expected_error(expected, counts)
    print(f"\n{len(design.ids):,} points; expected standard error of the overall accuracy: {error:.4f}")
    print(f"written: {output}; fill its column 'reference' with {_named_classes(design)}")
    print(f"written: {design_path(output)}; it contains the mapped classes, so do not give it to interpreters")
    return design


def _sources(population: Population) -> dict[str, str | None]:
    """Rasters that divide the map into strata, as plain values."""
    named = {"zones": population.zones, "screened": population.screened}
    return {name: None if path is None else str(path) for name, path in named.items()}


def _require_new(path: Path) -> None:
    if path.exists():
        remove_unfinished(path)
        raise ConfigError(f"{path}: exists, and may hold an interpreter's work; delete it or name another output")


def _expectation(strata: Sequence[StratumTally], classes: dict[int, str], settings: SampleSettings) -> Expectation:
    guesses = settings.users_accuracy
    if isinstance(guesses, dict):
        mapped = {classes[stratum.label] for stratum in strata}
        wrong = mapped ^ guesses.keys()
        if wrong:
            raise ConfigError(
                f"--users-accuracy is given for {', '.join(sorted(guesses))}; wanted one number, or one for each class "
                f"of the map: {', '.join(sorted(mapped))}"
            )
        accuracy = [guesses[classes[stratum.label]] for stratum in strata]
    else:
        accuracy = [guesses] * len(strata)
    areas = np.array([stratum.area_ha for stratum in strata])
    return Expectation(areas / areas.sum(), np.array(accuracy), np.array([stratum.pixels for stratum in strata]))


def _counts(
    path: Path, strata: Sequence[StratumTally], expected: Expectation, settings: SampleSettings
) -> NDArray[np.int64]:
    if settings.points is not None:
        return allocate(expected, settings.points, settings.allocation, settings.minimum)
    errors = [] if settings.standard_error is None else [settings.standard_error]
    if settings.area_error is not None:
        errors.append(settings.area_error * _cropland_share(path, strata, expected))
    return least_sample(expected, min(errors), settings.allocation, settings.minimum)


def _cropland_share(path: Path, strata: Sequence[StratumTally], expected: Expectation) -> float:
    labels = [stratum.label for stratum in strata]
    if not {CROPLAND}.issubset(labels) or not LABEL_NAMES.keys() >= set(labels):
        raise ConfigError(
            f"--area-error needs a map of cropland (1) and other (0), but {path} has the classes "
            f"{', '.join(str(label) for label in sorted(set(labels)))}; use --standard-error or --points"
        )
    return float(expected.weights[np.array(labels) == CROPLAND].sum())


def _strata_table(design: Design, counts: NDArray[np.int64]) -> str:
    total = sum(stratum.area_ha for stratum in design.strata)
    rows = [
        [stratum.name, f"{stratum.area_ha:,.1f}", f"{stratum.area_ha / total:.1%}", f"{stratum.pixels:,}", f"{count:,}"]
        for stratum, count in zip(design.strata, counts.tolist(), strict=True)
    ]
    return text_table(["stratum", "ha", "of the area", "pixels", "drawn"], rows)


def _named_classes(design: Design) -> str:
    return ", ".join(f"{label} ({name})" for label, name in design.classes.items())
