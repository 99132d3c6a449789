"""Evaluation of maps: compare them with their references, print the scores, write the report."""

from pathlib import Path

from seg.evaluation.accuracy import Accuracy, measure_accuracy
from seg.evaluation.pairs import Inputs, find_pairs
from seg.evaluation.report.json_report import as_json
from seg.evaluation.report.page.write import Documents, read_area_estimate, write_page
from seg.evaluation.report.picture import draw_picture
from seg.evaluation.report.terminal import accuracy_text
from seg.evaluation.settings import EvaluationSettings, PageSettings
from seg.files import make_output_folder, require_output_folder, require_replaceable, write_json
from seg.raster.sources import require_apart

REPORT_FILES = ("accuracy.json", "picture.png", "index.html")
"""Files of a report, in the order in which they are written."""


def evaluate(
    inputs: Inputs, output: Path, settings: EvaluationSettings, page: PageSettings = PageSettings()
) -> Accuracy:
    """Compare maps with their references, print the scores and write the report.

    The output folder gets `accuracy.json`, `picture.png`, and `index.html`, which shows both.

    Args:
        inputs: The files to compare.
        output: Folder for the report; made if its parent exists.
        settings: Options of the comparison.
        page: Options of `index.html`.

    Raises:
        ConfigError: The output folder cannot be written, files do not belong together, or the area estimate cannot be
            read.
        RasterError: A file cannot be read, lies on another grid or holds invalid values, or nothing can be compared.
    """
    require_output_folder(output)
    area = read_area_estimate(page.area_estimate)
    for name in REPORT_FILES:
        require_replaceable(output / name)
    pairing = find_pairs(inputs)
    require_apart([output / name for name in REPORT_FILES], [page.area_estimate, *pairing.files])
    accuracy = measure_accuracy(pairing.pairs, settings)
    print(accuracy_text(accuracy, pairing))
    make_output_folder(output)
    content = as_json(accuracy, pairing, inputs)
    write_json(content, output / "accuracy.json")
    shown = accuracy.worst[0][0] if accuracy.worst else accuracy.scenes[0]
    draw_picture(shown, settings, output / "picture.png", named=len(accuracy.scenes) > 1)
    write_page(Documents(content, area), pairing.pairs, settings, page.lang, output / "index.html")
    for name in REPORT_FILES:
        print(f"written: {output / name}")
    return accuracy
