"""What polygons cost, as text and as JSON."""

from dataclasses import asdict
from pathlib import Path

from seg.benchmark.figures import number
from seg.benchmark.polygons import PolygonRow, measure_polygons
from seg.benchmark.settings import PolygonBenchmarkSettings
from seg.benchmark.terminal import check_output, write_json
from seg.terminal.text import text_table


def benchmark_polygons(settings: PolygonBenchmarkSettings, output: Path | None) -> None:
    """Measure the polygons of maps and print what was found.

    Args:
        settings: Which maps.
        output: JSON file for the figures; None for no file.

    Raises:
        ConfigError: The file cannot be written.
    """
    check_output(output)
    rows = measure_polygons(settings)
    print(text_of(rows))
    found = [asdict(row) | {"ratio": row.ratio} for row in rows]
    write_json({"settings": asdict(settings), "rows": found}, output)


def text_of(rows: list[PolygonRow]) -> str:
    """The whole report as the terminal gets it."""
    title = (
        "a map of fields into a GeoPackage of parcels with areas and perimeters, each run in a new process; "
        "shapes: rasterio.features.shapes of the whole map in memory, nothing written"
    )
    columns = ["map", "parcels", "s", "Mpx/s", "memory MiB", "shapes s", "shapes MiB", "s / shapes s"]
    small, large = rows
    growth = f"four times the pixels take {number(large.seconds / small.seconds)} times as long"
    return f"{title}\n\n{text_table(columns, [_cells(row) for row in rows])}\n{growth}"


def _cells(row: PolygonRow) -> list[str]:
    speed = row.side**2 / 1e6 / row.seconds
    figures = (row.seconds, speed, row.memory_mib, row.shapes_seconds, row.shapes_memory_mib, row.ratio)
    return [f"{row.side}x{row.side}", f"{row.parcels:,}", *map(number, figures)]
