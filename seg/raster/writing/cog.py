"""Assemble a one-band uint8 Cloud Optimized GeoTIFF from windows, in bounded memory."""

import errno
import math
import os
import shutil
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
from rasterio._err import CPLE_BaseError
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.windows import Window

from seg.errors import RasterError
from seg.raster.chips import ByteMask
from seg.raster.grid import Grid
from seg.raster.writing.geotiff import byte_profile

TILE = 512
"""Side of an internal tile, in pixels."""

LEVEL = 5
"""Of the compression: half the time of 6, GDAL's own choice, for files a few percent larger."""


@dataclass(frozen=True)
class CogLayer:
    """What one map says of itself.

    Attributes:
        nodata: Value of pixels without data.
        description: Name of the band.
        scale: Stored value times this is the value meant, for example 0.01 for percent.
        colours: RGBA of each value, 0 to 255; empty for none.
        tags: Metadata of the file.
        resampling: How overviews are made: "NEAREST" or "MODE" for classes, "AVERAGE" for quantities, and for classes
            that are 0 and 1 alone: rounded, it is the majority, at a third of the time.
    """

    nodata: int
    description: str
    scale: float = 1.0
    colours: Mapping[int, tuple[int, int, int, int]] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    resampling: str = "AVERAGE"


def write_cog(path: Path, grid: Grid, layer: CogLayer, parts: Iterable[tuple[Window, ByteMask]]) -> None:
    """Write a map on exactly the input's grid; the file appears whole or not at all.

    Args:
        path: The file to write.
        grid: The grid of the input raster.
        layer: What the map says of itself.
        parts: Windows with their (H, W) uint8 pixels; together they cover the grid.

    Raises:
        RasterError: The file cannot be written.
    """
    # GDAL's own errors reach the caller where rasterio forgets to wrap them, as in a copy to a full disk.
    try:
        # Not while reading scenes: GDAL 3.10 then hides that a tile is damaged from all but the first read.
        with _unfinished(path) as folder, rasterio.Env(GDAL_NUM_THREADS="ALL_CPUS"):
            plain, cog = folder / "plain.tif", folder / "cog.tif"
            written = _write_plain(plain, grid, layer, parts)
            rasterio.shutil.copy(
                plain,
                cog,
                driver="COG",
                COMPRESS="DEFLATE",
                LEVEL=LEVEL,
                BLOCKSIZE=TILE,
                OVERVIEWS="FORCE_USE_EXISTING",
                BIGTIFF="IF_SAFER",
            )
            _read_back(cog, written)
            with cog.open("rb+") as file:
                os.fsync(file.fileno())
            cog.replace(path)
    except (RasterioError, CPLE_BaseError, OSError) as error:
        raise RasterError(
            f"{path}: cannot be written ({error}); its folder must be writable, with free space on its disk"
        ) from error


@contextmanager
def _unfinished(path: Path) -> Iterator[Path]:
    """A folder beside the output; its name is fixed, so that what a killed run left in it goes too."""
    folder = path.with_name(f".{path.name}.unfinished")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _read_back(path: Path, written: Iterable[tuple[Window, int]]) -> None:
    """Compare with what was written: nobody hears of it when GDAL's last write, at closing, fails."""
    with rasterio.open(path) as dataset:
        for window, checksum in written:
            if zlib.crc32(dataset.read(1, window=window)) != checksum:
                raise _no_space(path)


def _require_overviews(path: Path, levels: int) -> None:
    """Check that the file holds every tile of its overviews, which closing may have lost likewise."""
    size = path.stat().st_size
    with rasterio.open(path) as dataset:
        for level in range(levels):
            with rasterio.open(path, overview_level=level) as overview:
                tiles = [tile for tile, _ in overview.block_windows(1)]
            for row, column in tiles:
                start, length = (
                    dataset.get_tag_item(f"BLOCK_{what}_{column}_{row}", "TIFF", bidx=1, ovr=level)
                    for what in ("OFFSET", "SIZE")
                )
                if start is None or int(start) + int(length) > size:
                    raise _no_space(path)


def _no_space(path: Path) -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def _overviews(grid: Grid) -> list[int]:
    """By how much each overview is smaller than the map; the last one fits into a tile."""
    halvings = max(math.ceil(math.log2(max(grid.height, grid.width) / TILE)), 0)
    return [2**level for level in range(1, halvings + 1)]


def _write_plain(
    path: Path, grid: Grid, layer: CogLayer, parts: Iterable[tuple[Window, ByteMask]]
) -> list[tuple[Window, int]]:
    """Each window with the checksum of its pixels, once they are written."""
    # Not compressed: it is read once, and compressing a byte costs more than writing it. So are its overviews, which
    # the driver of the final file would compress for itself in between.
    profile = byte_profile(grid, layer.nodata) | {"compress": None, "blockxsize": TILE, "blockysize": TILE}
    written = []
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.set_band_description(1, layer.description)
        dataset.scales = (layer.scale,)
        dataset.update_tags(**layer.tags)
        for window, pixels in parts:
            dataset.write(pixels, 1, window=window)
            written.append((window, zlib.crc32(np.ascontiguousarray(pixels).data)))
    if path.stat().st_size < grid.height * grid.width:
        raise _no_space(path)
    factors = _overviews(grid)
    with rasterio.open(path, "r+") as dataset:
        dataset.build_overviews(factors, Resampling[layer.resampling.lower()])
    if layer.colours:
        with rasterio.open(path, "r+") as dataset:
            # Not before: GDAL would average the colours instead of the values.
            dataset.write_colormap(1, dict(layer.colours))
    _require_overviews(path, len(factors))
    return written
