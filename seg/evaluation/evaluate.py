"""Judge maps: compare them with their references, print the scores, write the report."""

from pathlib import Path

from rich.console import Console

from seg.evaluation.accuracy import Accuracy, measure_accuracy
from seg.evaluation.pairs import Inputs, find_pairs
from seg.evaluation.report.json_report import as_json
from seg.evaluation.report.page.documents import Documents, read_accuracy, read_area_estimate
from seg.evaluation.report.page.settings import PageSettings
from seg.evaluation.report.page.write import write_page
from seg.evaluation.report.picture import draw_picture
from seg.evaluation.report.terminal import print_accuracy, print_text
from seg.evaluation.settings import EvaluationSettings
from seg.files import make_output_folder, require_output_folder, write_json


def evaluate(
    inputs: Inputs, output: Path, settings: EvaluationSettings, page: PageSettings = PageSettings()
) -> Accuracy:
    """What comparing maps with references found, also printed and written.

    The output folder gets `accuracy.json`, `picture.png`, and `index.html`, which shows all of it.

    Args:
        inputs: The files to compare.
        output: Folder for the report; made if its parent exists.
        settings: How they are compared.
        page: How `index.html` is written.

    Raises:
        ConfigError: The output folder cannot be made or written, files do not belong together, or there is no area
            estimate where one was given.
        RasterError: A file cannot be read, lies on another grid or holds other values, or nothing can be compared.
    """
    require_output_folder(output)
    area = read_area_estimate(page.area_estimate)
    pairing = find_pairs(inputs)
    accuracy = measure_accuracy(pairing.pairs, settings)
    console = Console()
    print_accuracy(accuracy, pairing, console)
    make_output_folder(output)
    write_json(as_json(accuracy, pairing, inputs), output / "accuracy.json")
    shown = accuracy.worst[0][0] if accuracy.worst else accuracy.scenes[0]
    draw_picture(shown, settings, output / "picture.png", named=len(accuracy.scenes) > 1)
    documents = Documents(read_accuracy(output / "accuracy.json"), area)
    write_page(documents, pairing.pairs, settings, page.lang, output / "index.html")
    for name in ("accuracy.json", "picture.png", "index.html"):
        print_text(f"written: {output / name}", console)
    return accuracy
