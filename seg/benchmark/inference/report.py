"""Report on the raster engine, as text and JSON."""

from dataclasses import asdict
from pathlib import Path
from statistics import median

from seg.benchmark.inference.compare import InferenceRow, measure_inference
from seg.benchmark.reporting import check_results, number, write_results
from seg.benchmark.settings import InferenceSettings
from seg.terminal.text import text_table


def benchmark_inference(settings: InferenceSettings, output: Path | None) -> None:
    """Run the inference benchmark and print its report.

    Args:
        settings: Options of the benchmark.
        output: JSON file for the figures; None for no file.

    Raises:
        ConfigError: The file cannot be written, or `peers` is set and no other library is installed.
    """
    check_results(output)
    rows = measure_inference(settings)
    print(text_of(settings, rows))
    write_results({"settings": asdict(settings), "rows": [row.plain() for row in rows]}, output)


def text_of(settings: InferenceSettings, rows: list[InferenceRow]) -> str:
    """Report as text for the terminal."""
    title = (
        f"a scene of {settings.side}x{settings.side} pixels, 4 bands of uint16, deflate, to two maps with overviews; "
        f"{rows[0].runs[0].backend}, random weights; medians of {settings.repeats}"
    )
    return "\n\n".join([title, *(_section(row) for row in rows)])


def _section(row: InferenceRow) -> str:
    run = row.runs[0]
    plan = f"{row.name}: {run.blocks} blocks of {run.cut}, {run.redundancy:.2f} computed pixels per pixel"
    forward, copying = median(row.forward), row.megapixels / median(row.copying)
    cells = [
        ["engine", number(row.speed), ""],
        ["forward pass alone", number(forward), f"{row.of_forward:.2f} ({row.of_computing:.2f} if halo pixels count)"],
        ["reading and writing alone", number(copying), f"{row.of_copying:.2f}"],
    ]
    cells = [[*cell, "", ""] for cell in cells]
    cells[0][3:] = [f"{row.peak_mib:,.0f}", f"{row.seam_percent}"]
    for name, peer in row.peers.items():
        speed = row.megapixels / peer.run.seconds
        cells.append(
            [name, number(speed), f"{row.speed / speed:.2f}", f"{peer.run.peak_mib:,.0f}", f"{peer.seam_percent}"]
        )
    head = ["", "finished Mpx/s", "engine / this", "peak MiB", "largest difference from a single block (%)"]
    return plan + "\n\n" + text_table(head, cells)
