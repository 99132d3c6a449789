"""Command that checks a dataset, prints the report and writes it to files."""

from pathlib import Path

from seg.data.checking.check import Options, check_dataset
from seg.data.checking.findings import Severity
from seg.data.checking.listing import list_scenes
from seg.data.checking.report import json_report, text_report
from seg.data.dataset.unlabelled import read_unlabelled
from seg.errors import DatasetError
from seg.files import complete_or_absent, require_output_file
from seg.raster.sources import require_apart, require_replaceable


def run_check(root: Path, options: Options, output: Path | None, sheet: Path | None, as_json: bool) -> None:
    """Check a dataset, print the report, and write it to files.

    Args:
        root: The dataset.
        options: Training settings that the check assumes.
        output: JSON file to write, or None.
        sheet: Contact sheet to write (PNG), or None.
        as_json: Print JSON instead of text.

    Raises:
        ConfigError: An output has a wrong name, is one of the inputs, or was written by another program.
        WriteError: An output cannot be written.
        DatasetError: There is no such dataset, or the check found an error.
    """
    for path, suffix in ((output, ".json"), (sheet, ".png")):
        if path is not None:
            require_output_file(path, [suffix])
    scenes = list_scenes(root, options.folds, options.labels).scenes
    files = [path for scene in scenes for path in (scene.image, scene.mask)]
    files += [scene.image for scene in read_unlabelled(root, options.unlabelled, options.fold)]
    for path in (output, sheet):
        if path is not None:
            require_replaceable(path)
    require_apart([path for path in (output, sheet) if path is not None], files)
    report = check_dataset(root, options)
    print(json_report(report) if as_json else text_report(report))
    if output is not None:
        with complete_or_absent(output) as temporary:
            # If a name is not UTF-8, its bytes are written as JSON escapes.
            temporary.write_text(json_report(report) + "\n", encoding="utf-8", errors="backslashreplace")
    if sheet is not None:
        from seg.data.checking.sheet import draw_sheet

        draw_sheet(report, sheet)
    errors = report.count(Severity.ERROR)
    if errors:
        more = f" ({errors} errors in all)" if errors > 1 else ""
        raise DatasetError(f"{report.findings[0].message}{more}")
