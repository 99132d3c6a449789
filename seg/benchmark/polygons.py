"""What polygons cost: time and memory at two sizes of a map, beside `rasterio.features.shapes` of the whole."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from seg.benchmark.polygon_runs import (
    PolygonRun,
    as_parcels,
    as_shapes,
    measured,
    write_map,
)
from seg.benchmark.settings import PolygonBenchmarkSettings
from seg.benchmark.terminal import progress_bar
from seg.benchmark.timing import Action


@dataclass(frozen=True)
class PolygonRow:
    """What was found for one map.

    Attributes:
        side: Of the map, in pixels.
        parcels: How many it has.
        seconds: Until they are written as a GeoPackage, with areas and perimeters.
        shapes_seconds: Until rasterio has made polygons of the map in memory.
        memory_mib: Most resident memory of the process that wrote them.
        shapes_memory_mib: Of the one that called rasterio.
    """

    side: int
    parcels: int
    seconds: float
    shapes_seconds: float
    memory_mib: float
    shapes_memory_mib: float

    @property
    def ratio(self) -> float:
        """Time against that of rasterio."""
        return self.seconds / self.shapes_seconds


def measure_polygons(settings: PolygonBenchmarkSettings) -> list[PolygonRow]:
    """Turn maps into parcels that are made for it in a temporary folder: one of half the side, then the whole."""
    with tempfile.TemporaryDirectory() as folder, progress_bar("Polygons", 4 * settings.repeats) as report:
        return [_row(Path(folder) / "map.tif", side, settings, report) for side in (settings.side // 2, settings.side)]


def _row(path: Path, side: int, settings: PolygonBenchmarkSettings, report: Action) -> PolygonRow:
    write_map(path, side)
    runs: dict[str, list[PolygonRun]] = {"parcels": [], "shapes": []}
    for _ in range(settings.repeats):
        # In turns, so that whatever else the machine does meanwhile slows both.
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
