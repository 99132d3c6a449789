"""Report on the models of the family, as text and JSON."""

from dataclasses import asdict
from pathlib import Path

from seg.benchmark.models.compare import ModelReport, ModelRow, measure_models
from seg.benchmark.reporting import check_results, number, write_results
from seg.benchmark.settings import ModelSettings
from seg.terminal.text import text_table

LEGEND = """GMAC/Mpx: billion multiply-accumulate operations per million pixels. MB/Mpx: megabytes per million pixels,
if each convolution and linear layer reads its input and weights once and writes its output once, in float32. Mpx/s:
million pixels per second. radius: receptive field on each side."""


def benchmark_models(settings: ModelSettings, output: Path | None) -> None:
    """Run the model benchmark and print its report.

    Args:
        settings: Options of the benchmark.
        output: JSON file for the figures; None for no file.

    Raises:
        ConfigError: A model is unknown, the device is absent, or the file cannot be written.
    """
    check_results(output)
    report = measure_models(settings)
    print(text_of(report))
    write_results(json_of(report), output)


def text_of(report: ModelReport) -> str:
    """Report as text for the terminal."""
    size = report.settings.size
    image = f"one image of {size}x{size} pixels, {report.settings.bands} bands, float32 unless the mode is mixed"
    return "\n\n".join([str(report.machine), image, _table(report), LEGEND])


def json_of(report: ModelReport) -> dict[str, object]:
    """Report as plain values: costs and seconds of one image."""
    rows = [
        {
            "name": row.name,
            "parameters": row.cost.parameters,
            "macs": row.cost.macs,
            "bytes_moved": row.cost.bytes_moved,
            "macs_per_byte": row.cost.intensity,
            "seconds": dict(row.seconds),
            "receptive_field_radius": row.radius,
        }
        for row in report.rows
    ]
    return {"machine": asdict(report.machine), "settings": asdict(report.settings), "rows": rows}


def _table(report: ModelReport) -> str:
    modes = list(report.rows[0].seconds)
    titles = ["model", "M parameters", "GMAC/Mpx", "MB/Mpx", "MAC/byte", *(f"Mpx/s {mode}" for mode in modes), "radius"]
    return text_table(titles, [_cells(row, modes, report.megapixels) for row in report.rows])


def _cells(row: ModelRow, modes: list[str], megapixels: float) -> list[str]:
    speeds = [None if seconds is None else megapixels / seconds for seconds in map(row.seconds.get, modes)]
    return [
        row.name,
        number(row.cost.parameters / 1e6),
        number(row.cost.macs / 1e9 / megapixels),
        number(row.cost.bytes_moved / 1e6 / megapixels),
        number(row.cost.intensity),
        *map(number, speeds),
        "whole window" if row.radius is None else f"{row.radius} px",
    ]
