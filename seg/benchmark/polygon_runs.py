"""Synthetic maps of fields, and runs that polygonise them, each in a new process. Does not import torch."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from rasterio.features import shapes

from seg.benchmark.timing import in_new_process, peak_memory_mib
from seg.labels import CROPLAND, IGNORE
from seg.parcels.settings import PolygonSettings
from seg.parcels.write_parcels import write_parcels
from seg.raster.chips import BoolMask
from seg.raster.windows import window_grid

FIELD_HEIGHT, FIELD_WIDTH = 65.536, 81.92
"""Height and width in pixels of a field with the path beside it. A map of 16384x16384 pixels has about 50,000
fields."""
_PATH = 0.06
_POND = 0.06
_TILE = 512


@dataclass(frozen=True)
class PolygonRun:
    """Time and memory of one run on one map.

    Attributes:
        seconds: Time from the file to the polygons.
        memory_mib: Peak resident memory of the process in MiB, including interpreter and libraries.
        polygons: Number of polygons.
    """

    seconds: float
    memory_mib: float
    polygons: int


def write_map(path: Path, side: int) -> None:
    """Write a square class map of fields with uneven edges; paths separate the fields; every fourth field has a pond.

    Args:
        path: GeoTIFF to write.
        side: Side in pixels.
    """
    profile = {"driver": "GTiff", "height": side, "width": side, "count": 1, "dtype": "uint8", "nodata": IGNORE}
    place = {"crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, 500_000, 0, -10, 5_000_000)}
    stored = {"tiled": True, "blockxsize": _TILE, "blockysize": _TILE, "compress": "deflate"}
    with rasterio.open(path, "w", **profile, **place, **stored) as dataset:
        for window in window_grid(side, side, 1024, 1024):
            rows, columns = np.indices((window.height, window.width), dtype=np.float32)
            pixels = _fields(rows + window.row_off, columns + window.col_off)
            dataset.write(pixels.astype(np.uint8) * CROPLAND, 1, window=window)


def _fields(rows: np.ndarray, columns: np.ndarray) -> BoolMask:
    down = (rows + 6 * np.sin(columns / 13) + np.sin(columns / 3 + rows / 5)) / FIELD_HEIGHT
    across = (columns + 6 * np.sin(rows / 17) + np.sin(rows / 4 - columns / 7)) / FIELD_WIDTH
    field = (down % 1 > _PATH) & (across % 1 > _PATH)
    pond = np.hypot(down % 1 - 0.5, across % 1 - 0.5) < _POND
    fourth = (np.floor(down) + np.floor(across)) % 4 == 0
    inside: BoolMask = field & ~(pond & fourth)
    return inside


def measured(way: Callable[[Path], int], path: Path) -> PolygonRun:
    """Polygonise a map in a new process, and measure time and memory.

    Args:
        way: Function that polygonises, `as_parcels` or `as_shapes`.
        path: The map.
    """
    return in_new_process(_timed, way, path)


def as_parcels(path: Path) -> int:
    """Write the parcels of a map as a GeoPackage with areas and perimeters, and return their number."""
    return write_parcels(path, path.with_suffix(".gpkg"), PolygonSettings()).parcels


def as_shapes(path: Path) -> int:
    """Polygonise the whole map in memory with rasterio, without writing, and return the number of polygons."""
    with rasterio.open(path) as dataset:
        pixels, transform = dataset.read(1), dataset.transform
    return sum(1 for _ in shapes(pixels, mask=pixels == CROPLAND, transform=transform))


def _timed(way: Callable[[Path], int], path: Path) -> PolygonRun:
    start = time.perf_counter()
    polygons = way(path)
    seconds = time.perf_counter() - start
    return PolygonRun(seconds, peak_memory_mib(), polygons)
