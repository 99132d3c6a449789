"""The command `evaluate`: comparison with references, area estimation, change maps, tables by zone."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from seg.evaluation.area.settings import AreaSettings, SampleSettings
from seg.evaluation.pairs import Inputs
from seg.evaluation.settings import ChangeSettings, EvaluationSettings, PageSettings
from seg.evaluation.zones.settings import ZoneInputs, ZoneSettings
from seg.inference.cluster.settings import ClusterSettings
from seg.raster.gdal_options import gdal_options
from seg.terminal.command_line import Command, run_command


def evaluate(
    *,
    inputs: Inputs,
    output: Path,
    settings: EvaluationSettings,
    page: PageSettings,
    cluster: ClusterSettings,
) -> None:
    """Compare cropland maps with references; for the other uses see `evaluate.py sample|area|change|zones --help`.

    Args:
        inputs: Maps, references, and related files.
        output: Folder for the report; created if its parent exists.
        settings: Options of the comparison.
        page: Options of the report.
        cluster: Options of the cluster, on which each task compares one pair.
    """
    from seg.evaluation.evaluate import evaluate as write_report
    from seg.inference.cluster.mapping import FileMapper

    if cluster.cluster is None:
        write_report(inputs, output, settings, page)
        return
    with FileMapper(cluster) as over:
        write_report(inputs, output, settings, page, over)


def sample(*, prediction: Path, output: Path, settings: SampleSettings, zones: Path | None = None) -> None:
    """Draw a stratified random sample of a class map for interpretation; the map's classes are the strata.

    Args:
        prediction: Class map: 0 other, 1 cropland (or other classes up to 254), 255 or nodata for no class. If
            predict.py screened it, the screened pixels are a stratum of their own, from the file beside the map.
        output: GeoPackage for the points. The design of the sample is written beside it; interpreters must not see the
            design.
        settings: Size and allocation of the sample.
        zones: Raster of whole numbers on the same grid, such as district numbers. Each zone has its own strata; pixels
            without a number are left out.
    """
    from seg.evaluation.area.population import Population, screened_pixels
    from seg.evaluation.area.sample import sample_map

    sample_map(Population(prediction, zones, screened_pixels(prediction)), output, settings)


def area(
    *,
    points: Path,
    output: Path,
    settings: AreaSettings,
    design: Path | None = None,
    prediction: Path | None = None,
) -> None:
    """Estimate areas and accuracies with standard errors from an interpreted sample; print them and write area.json.

    Args:
        points: Points drawn by `sample` whose column `reference` has been filled: GeoPackage, GeoJSON or CSV.
        output: Folder for area.json; created if its parent exists.
        settings: Treatment of points without a reference, and confidence of the intervals.
        design: Design written by `sample`; by default the file beside the points.
        prediction: Another map on the same grid, to be assessed with the same points; by default, the sampled map.
    """
    from seg.evaluation.area.estimate import estimate_area

    estimate_area(points, output, settings, design, prediction)


def change(
    *,
    before: Path,
    after: Path,
    output: Path,
    settings: ChangeSettings,
    before_probability: Path | None = None,
    after_probability: Path | None = None,
    before_image: Path | None = None,
    after_image: Path | None = None,
) -> None:
    """Map cropland that was gained or lost between two class maps, as rasters and as polygons with areas.

    Args:
        before: The earlier class map: 0 other, 1 cropland, 255 or nodata for no value.
        after: The later class map, on the same grid.
        output: Folder for change.tif, change_probability.tif, change.gpkg, change.json and sheet.html; created if its
            parent exists.
        settings: Smallest polygon, confidence of a supported change, and the sheet.
        before_probability: Probability map of the earlier map in percent; by default, the file beside the map with the
            same name and `_probability` added.
        after_probability: Probability map of the later map; by default, the file beside the map, as for the earlier
            map.
        before_image: Scene of the earlier map, on the same grid, for the pictures of the sheet.
        after_image: Scene of the later map.
    """
    from seg.evaluation.change.maps import find_maps
    from seg.evaluation.change.run import measure_change

    found = find_maps(before, after, (before_probability, after_probability))
    measure_change(replace(found, images=(before_image, after_image)), output, settings)


def zones(*, inputs: ZoneInputs, output: Path, settings: ZoneSettings) -> None:
    """Tabulate the cropland of each zone of a map, such as a county: area, parcels, estimate and accuracy.

    Args:
        inputs: Map and zones; a reference and points are optional.
        output: Folder for zones.csv, zones.xlsx, chart.svg, index.html and zones.json; created if its parent exists.
        settings: Options of the table.
    """
    from seg.evaluation.zones.run import tabulate_zones

    tabulate_zones(inputs, output, settings)


SUBCOMMANDS: dict[str, Command] = {"sample": sample, "area": area, "change": change, "zones": zones}
"""Subcommands by name. If the command line has no subcommand, maps are compared with references."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Args:
        arguments: Command-line arguments; sys.argv[1:] by default.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    if words and not words[0].startswith("-"):
        return run_command(SUBCOMMANDS, words, "Accuracy, area, change and zones of cropland maps.", gdal_options)
    return run_command(evaluate, words, within=gdal_options)
