"""Evaluation of maps: compare them with their references, print the scores, write the report."""

from pathlib import Path

from seg.evaluation.accuracy import Accuracy, MeasurePairs, measure_accuracy
from seg.evaluation.pairs import Inputs, find_pairs
from seg.evaluation.report.json_report import as_json
from seg.evaluation.report.page.write import Documents, read_area_estimate, write_page
from seg.evaluation.report.picture import draw_picture
from seg.evaluation.report.terminal import accuracy_text
from seg.evaluation.report_folder import report_folder
from seg.evaluation.settings import EvaluationSettings, PageSettings
from seg.files import require_output_folder, write_json
from seg.raster.sources import require_apart, require_replaceable

REPORT_FILES = ("accuracy.json", "picture.png", "index.html")
"""Files of a report. They are written in this order, and then renamed into place together."""


def evaluate(
    inputs: Inputs,
    output: Path,
    settings: EvaluationSettings,
    page: PageSettings = PageSettings(),
    measured: MeasurePairs | None = None,
) -> Accuracy:
    """Compare maps with their references, print the scores and write the report.

    The output folder gets `accuracy.json`, `picture.png`, and `index.html`, which shows the scores and the maps.

    Args:
        inputs: The files to compare.
        output: Folder for the report; made if its parent exists.
        settings: Options of the comparison.
        page: Options of `index.html`.
        measured: Calls a function for each pair; by default, this process compares one pair after the other.

    Raises:
        ConfigError: The output folder cannot be written, files do not belong together, or the area estimate cannot be
            read.
        RasterError: A file cannot be read, lies on another grid or holds invalid values, or nothing can be compared.
        WriteError: The report cannot be written, for example on a full disk; an earlier report does not change.
        ClaimError: Another process writes a report to the folder.
    """
    require_output_folder(output)
    area = read_area_estimate(page.area_estimate)
    for name in REPORT_FILES:
        require_replaceable(output / name)
    pairing = find_pairs(inputs)
    require_apart([output / name for name in REPORT_FILES], [page.area_estimate, *pairing.files])
    with report_folder(output, REPORT_FILES) as unfinished:
        accuracy = measure_accuracy(pairing.pairs, settings, measured)
        print(accuracy_text(accuracy, pairing))
        content = as_json(accuracy, pairing, inputs)
        write_json(content, unfinished / "accuracy.json")
        shown = accuracy.worst[0][0] if accuracy.worst else accuracy.scenes[0]
        draw_picture(shown, settings, unfinished / "picture.png", named=len(accuracy.scenes) > 1)
        write_page(Documents(content, area), pairing.pairs, settings, page.lang, unfinished / "index.html")
    for name in REPORT_FILES:
        print(f"written: {output / name}")
    return accuracy
