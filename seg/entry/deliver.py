"""The command `deliver`: parcels by a template, and the check of a delivered folder."""

import sys
from collections.abc import Sequence
from pathlib import Path

from seg.raster.gdal_options import gdal_options
from seg.terminal.command_line import run_command


def deliver(*, template: Path, parcels: Path, output: Path, zones: Path | None = None, threads: int = 2) -> None:
    """Deliver parcels by a template; to check a delivered folder, see `deliver.py check --help`.

    Args:
        template: Template in YAML, such as a copy of one in configs/delivery.
        parcels: Parcels of polygons.py, or other polygons in any format and CRS; `FILE|layername=NAME` for one of
            several layers.
        output: Folder to write; it must be absent or empty. After an error, nothing is written.
        zones: Polygons such as counties, in any format and CRS; parcels are cut at the lines between them. null if
            the template uses no zones.
        threads: Number of threads that cut and measure parcels.
    """
    from seg.delivery.deliver import deliver as prepare
    from seg.delivery.template_reading import read_template
    from seg.errors import require_threads
    from seg.terminal.progress import progress_bar

    require_threads(threads, least=1)
    read = read_template(template)
    delivery = prepare(read, parcels, zones, output, threads)
    with progress_bar(output.name) as bar:
        delivered = delivery.write(bar.move)
    print(delivered.text(output))
    if read.note:
        print(f"note: {' '.join(read.note.split())}", file=sys.stderr)


def check(*, template: Path, delivery: Path, zones: Path | None = None, report: Path | None = None) -> None:
    """Compare a delivered folder with its template and list every fault; exit status 1 if there are faults.

    Args:
        template: The template of the delivery.
        delivery: The delivered folder.
        zones: Polygons of the zones, as for the delivery; null if the template uses no zones.
        report: CSV file with all faults; the terminal shows at most 20 of each kind in a layer. null writes no file.
    """
    from seg.delivery.checking.check import check as compare
    from seg.delivery.checking.faults import report_text, write_report
    from seg.delivery.template_reading import read_template
    from seg.errors import IncompleteError
    from seg.files import require_output_file
    from seg.terminal.progress import progress_bar
    from seg.terminal.text import counted

    if report is not None:
        require_output_file(report, (".csv",))
    with progress_bar(delivery.name) as bar:
        checked = compare(read_template(template), delivery, zones, bar.move)
    if report is not None:
        write_report(checked.faults, report)
    size = f"{counted(checked.records, 'record')} in {counted(checked.layers, 'layer')}"
    if checked.faults:
        print(report_text(checked.faults))
        raise IncompleteError(f"{delivery}: {counted(len(checked.faults), 'fault')}; {size}")
    print(f"{delivery}: {size}; no fault")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Args:
        arguments: Command-line arguments; sys.argv[1:] by default.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    if words and not words[0].startswith("-"):
        return run_command({"check": check}, words, "Deliver parcels by a template; check deliveries.", gdal_options)
    return run_command(deliver, words, within=gdal_options)
