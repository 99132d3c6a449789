"""Compare maps with references, estimate areas, map change: the command `evaluate`."""

import sys
from collections.abc import Sequence
from pathlib import Path

from seg.evaluation.area.settings import AreaSettings, SampleSettings
from seg.evaluation.change.settings import ChangeSettings
from seg.evaluation.settings import EvaluationSettings, Language
from seg.raster.gdal_options import gdal_options
from seg.terminal.command_line import Command, run_command


def evaluate(
    *,
    prediction: Path,
    reference: Path,
    output: Path,
    settings: EvaluationSettings,
    probability: Path | None = None,
    image: Path | None = None,
    folds: Path | None = None,
    fold: int | None = None,
    strata: Path | None = None,
    stratum_attribute: str | None = None,
    stratum_layer: str | None = None,
    lang: Language = "en",
    area_estimate: Path | None = None,
) -> None:
    """Compare cropland maps with references: scores and a report; or see `evaluate.py sample|area|change --help`.

    Args:
        prediction: Class map to judge: 0 other, 1 cropland, 255 or nodata where it has no value. Or a folder of maps,
            matched by stem with the files of the other folders.
        reference: Mask on the map's grid: 0 other, 1 cropland, 255 no label. Or polygons in a vector file, which are
            burnt onto the map's grid. Or a folder of either.
        output: Folder for the report; it is made if its parent exists.
        probability: Probability map in percent, or a folder of them; by default that beside the map, its name ending
            in `_probability`.
        image: The scene that was mapped, or a folder of scenes, shown in pictures beside reference and map.
        folds: Raster on the same grid with a fold number per pixel, or a folder of them; needs --fold.
        fold: Compare only the pixels of this held-out fold; needs --folds.
        strata: Raster of codes on the same grid, or polygons, or a folder of either: scores are given for each stratum.
        stratum_attribute: Column of the polygons that tells the strata.
        stratum_layer: Layer of the polygons, where their file has several.
        lang: Language of index.html: English or Chinese.
        area_estimate: The area.json that `evaluate.py area` wrote for the same map, shown beside the accuracy.
    """
    from seg.evaluation.evaluate import evaluate
    from seg.evaluation.pairs import Inputs
    from seg.evaluation.settings import PageSettings

    inputs = Inputs(prediction, reference, probability, image, folds, fold, strata, stratum_attribute, stratum_layer)
    evaluate(inputs, output, settings, PageSettings(lang=lang, area_estimate=area_estimate))


def sample(*, prediction: Path, output: Path, settings: SampleSettings, zones: Path | None = None) -> None:
    """Draw a stratified random sample of a class map, to be interpreted; the map's classes are the strata.

    Args:
        prediction: Class map: 0 other, 1 cropland (or other classes up to 254), 255 or nodata for none.
        output: GeoPackage for the points; a design, which the interpreters must not see, is written beside it.
        settings: How large the sample is, and how it is dealt.
        zones: Raster on the same grid with a whole number a pixel, such as districts: each zone makes strata of its
            own, and pixels without a number are left out.
    """
    from seg.evaluation.area.population import Population
    from seg.evaluation.area.sample import sample_map

    sample_map(Population(prediction, zones), output, settings)


def area(
    *,
    points: Path,
    output: Path,
    settings: AreaSettings,
    design: Path | None = None,
    prediction: Path | None = None,
) -> None:
    """Estimate areas and accuracies with their errors from an interpreted sample; print them and write area.json.

    Args:
        points: The points that `sample` drew, with their column `reference` filled: GeoPackage, GeoJSON or CSV.
        output: Folder for area.json; it is made if its parent exists.
        settings: What points without a reference are, and the intervals.
        design: The design that `sample` wrote; by default that beside the points.
        prediction: Judge another map of the same grid by the same points; by default the one that was sampled.
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
) -> None:
    """Map gained and lost cropland between two maps: rasters, polygons with areas, and which the probabilities support.

    Args:
        before: The earlier class map: 0 other, 1 cropland, 255 or nodata where it has no value.
        after: The later class map, on the same grid.
        output: Folder for change.tif, change_probability.tif, change.gpkg and change.json; made if its parent exists.
        settings: Smallest polygon, and when a change is supported.
        before_probability: Probability map of the earlier map, in percent; by default that beside it, its name ending
            in `_probability`.
        after_probability: Probability map of the later map, likewise.
    """
    from seg.evaluation.change.maps import find_maps
    from seg.evaluation.change.run import measure_change

    measure_change(find_maps(before, after, (before_probability, after_probability)), output, settings)


SUBCOMMANDS: dict[str, Command] = {"sample": sample, "area": area, "change": change}
"""What the first word of the command line may name; without one, maps are compared with references."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status of the command line.

    Args:
        arguments: Its words; those of the process by default.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    if words and not words[0].startswith("-"):
        return run_command(SUBCOMMANDS, words, "Accuracy, area and change of cropland maps.", gdal_options)
    return run_command(evaluate, words, within=gdal_options)
