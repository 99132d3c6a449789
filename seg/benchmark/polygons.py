"""Time and memory for converting maps of two sizes to parcels, compared with `rasterio.features.shapes`."""

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from seg.benchmark.polygon_runs import (
    PolygonRun,
    as_parcels,
    as_shapes,
    measured,
    write_map,
)
from seg.benchmark.reporting import check_results, write_results
from seg.benchmark.settings import PolygonBenchmarkSettings
from seg.benchmark.timing import Action
from seg.terminal.progress import progress_bar
from seg.terminal.text import number, text_table


@dataclass(frozen=True)
class PolygonRow:
    """Results for one map.

    Attributes:
        side: Side of the map in pixels.
        parcels: Number of parcels.
        seconds: Time to write the parcels as a GeoPackage with areas and perimeters.
        shapes_seconds: Time to polygonise the map in memory with rasterio.
        memory_mib: Peak resident memory of the process that writes the parcels, in MiB.
        shapes_memory_mib: Peak resident memory of the process that runs rasterio, in MiB.
    """

    side: int
    parcels: int
    seconds: float
    shapes_seconds: float
    memory_mib: float
    shapes_memory_mib: float

    @property
    def ratio(self) -> float:
        """Time to write the parcels, divided by the time of rasterio."""
        return self.seconds / self.shapes_seconds


def measure_polygons(settings: PolygonBenchmarkSettings) -> list[PolygonRow]:
    """Polygonise two synthetic maps in a temporary folder; one has the whole side, and one has half of the side."""
    with tempfile.TemporaryDirectory() as folder, progress_bar("Polygons", 4 * settings.repeats) as bar:
        return [
            _row(Path(folder) / "map.tif", side, settings, bar.step) for side in (settings.side // 2, settings.side)
        ]


def _row(path: Path, side: int, settings: PolygonBenchmarkSettings, report: Action) -> PolygonRow:
    write_map(path, side)
    runs: dict[str, list[PolygonRun]] = {"parcels": [], "shapes": []}
    for _ in range(settings.repeats):
        # The runs are interleaved, so that other load on the machine slows both methods equally.
        for name, way in (("shapes", as_shapes), ("parcels", as_parcels)):
            runs[name].append(measured(way, path))
            report()
    seconds, memory = ({name: median(getattr(run, what) for run in runs[name]) for name in runs} for what in _WHAT)
    return PolygonRow(
        side=side,
        parcels=runs["parcels"][0].polygons,
        seconds=seconds["parcels"],
        shapes_seconds=seconds["shapes"],
        memory_mib=memory["parcels"],
        shapes_memory_mib=memory["shapes"],
    )


_WHAT = ("seconds", "memory_mib")


def benchmark_polygons(settings: PolygonBenchmarkSettings, output: Path | None) -> None:
    """Run the polygon benchmark and print its report.

    Args:
        settings: Options of the benchmark.
        output: JSON file for the figures; None for no file.

    Raises:
        ConfigError: The file cannot be written.
    """
    check_results(output)
    rows = measure_polygons(settings)
    print(text_of(rows))
    found = [asdict(row) | {"ratio": row.ratio} for row in rows]
    write_results({"settings": asdict(settings), "rows": found}, output)


def text_of(rows: list[PolygonRow]) -> str:
    """Report as text for the terminal."""
    title = (
        "a map of fields to a GeoPackage of parcels with areas and perimeters, each run in a new process; "
        "shapes: rasterio.features.shapes of the whole map in memory, without writing"
    )
    columns = ["map", "parcels", "s", "Mpx/s", "memory MiB", "shapes s", "shapes MiB", "s / shapes s"]
    small, large = rows
    growth = f"four times the pixels take {number(large.seconds / small.seconds)} times as long"
    return f"{title}\n\n{text_table(columns, [_cells(row) for row in rows])}\n{growth}"


def _cells(row: PolygonRow) -> list[str]:
    speed = row.side**2 / 1e6 / row.seconds
    figures = (row.seconds, speed, row.memory_mib, row.shapes_seconds, row.shapes_memory_mib, row.ratio)
    return [f"{row.side}x{row.side}", f"{row.parcels:,}", *map(number, figures)]
