"""How fast chips are loaded, as text and as JSON."""

from dataclasses import asdict
from pathlib import Path

from seg.benchmark.figures import number
from seg.benchmark.loading import LoadingRow, measure_loading
from seg.benchmark.settings import LoadingSettings
from seg.benchmark.terminal import check_output, write_json
from seg.terminal.text import text_table


def benchmark_loading(settings: LoadingSettings, output: Path | None) -> None:
    """Measure the loader of chips and print what was found.

    Args:
        settings: How much is loaded.
        output: JSON file for the figures; None for no file.

    Raises:
        ConfigError: The file cannot be written.
    """
    check_output(output)
    rows = measure_loading(settings)
    print(text_of(settings, rows))
    found = [asdict(row) | {"ratio": row.ratio} for row in rows]
    write_json({"settings": asdict(settings), "rows": found}, output)


def text_of(settings: LoadingSettings, rows: list[LoadingRow]) -> str:
    """The whole report as the terminal gets it."""
    title = (
        f"chips of a scene of {settings.side}x{settings.side} pixels, 4 bands of uint16, deflate; "
        f"{settings.workers} processes; floor: rasterio reads the same windows in plain loops"
    )
    growth = f"growth over {settings.memory_samples}"
    columns = ["chip", "loader/s", "floor/s", "ratio", "memory MiB", growth]
    return title + "\n\n" + text_table(columns, [_cells(row) for row in rows])


def _cells(row: LoadingRow) -> list[str]:
    figures = map(number, (row.loader, row.floor, row.ratio, row.memory_mib))
    return [f"{row.size}x{row.size}", *figures, f"{100 * row.growth:.1f} %"]
