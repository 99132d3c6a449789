"""Assemble one-band uint8 Cloud Optimized GeoTIFFs from windows, in bounded memory."""

import errno
import math
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.shutil
from rasterio._err import CPLE_BaseError
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.windows import Window

from seg.files import put_in_place, work_folder, writing
from seg.raster.chips import ByteMask
from seg.raster.grid import Grid
from seg.raster.writing.geotiff import byte_profile

TILE = 512
"""Side of an internal tile, in pixels."""

LEVEL = 5
"""Compression level. GDAL's default, level 6, takes twice the time for files that are a few percent smaller."""

_FINISHED_AT_ONCE = 2
"""Number of maps that are compressed in parallel."""


@dataclass(frozen=True)
class CogLayer:
    """Metadata of one map.

    Attributes:
        nodata: Value of pixels without data.
        description: Name of the band.
        scale: Factor from stored to real values, for example 0.01 for percent.
        colours: RGBA of each value, 0 to 255; empty if there is no colour table.
        tags: Tags of the file.
        resampling: Method for overviews: "NEAREST" or "MODE" for classes, "AVERAGE" for quantities. For classes 0 and
            1, use "AVERAGE": the rounded average is the majority, and takes a third of the time of "MODE".
    """

    nodata: int
    description: str
    scale: float = 1.0
    colours: Mapping[int, tuple[int, int, int, int]] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    resampling: str = "AVERAGE"


def write_cog(path: Path, grid: Grid, layer: CogLayer, parts: Iterable[tuple[Window, ByteMask]]) -> None:
    """Write a map on the input's grid as a Cloud Optimized GeoTIFF, atomically.

    Args:
        path: The file to write.
        grid: Grid of the input raster.
        layer: Metadata of the map.
        parts: Windows with their (H, W) uint8 pixels; together they cover the grid.

    Raises:
        WriteError: The file cannot be written.
    """
    write_cogs(grid, {path: layer}, ((window, pixels[None]) for window, pixels in parts))


def write_cogs(
    grid: Grid, layers: Mapping[Path, CogLayer], parts: Iterable[tuple[Window, npt.NDArray[np.uint8]]]
) -> None:
    """Write several maps on the input's grid from one pass over their pixels; each file is written atomically.

    Args:
        grid: Grid of the input raster.
        layers: Metadata of each map, by the file to write.
        parts: Windows with their (layers, H, W) uint8 pixels; together they cover the grid.

    Raises:
        WriteError: A file cannot be written.
    """
    with ExitStack() as unfinished:
        maps = [unfinished.enter_context(_unfinished(path, grid, layer)) for path, layer in layers.items()]
        for window, pixels in parts:
            for written, values in zip(maps, pixels, strict=True):
                written.write(window, values)
        with ThreadPoolExecutor(max_workers=_FINISHED_AT_ONCE) as pool:
            # The last map is finished first: it is the probability map, which takes longest to compress.
            for finished in [pool.submit(written.finish) for written in reversed(maps)]:
                finished.result()


class _UnfinishedMap:
    """A map that is written window by window into a plain file, which then becomes a COG.

    Args:
        path: The file to write.
        grid: Grid of the input raster.
        layer: Metadata of the map.
        folder: Folder for unfinished files.

    Raises:
        WriteError: The file cannot be written; the methods raise this error too.
    """

    def __init__(self, path: Path, grid: Grid, layer: CogLayer, folder: Path) -> None:
        self.path, self.grid, self.layer = path, grid, layer
        self._plain, self._cog = folder / "plain.tif", folder / "cog.tif"
        self._written: list[tuple[Window, int]] = []
        # The plain file is not compressed: it is read only once, and compressing a byte costs more than writing it.
        # Overviews are made in this file, since the COG driver would compress them once more on the way.
        profile = byte_profile(grid, layer.nodata) | {"compress": None, "blockxsize": TILE, "blockysize": TILE}
        with named_errors(path):
            self._dataset = rasterio.open(self._plain, "w", **profile)
            self._dataset.set_band_description(1, layer.description)
            self._dataset.scales = (layer.scale,)
            self._dataset.update_tags(**layer.tags)

    def write(self, window: Window, pixels: ByteMask) -> None:
        """Write the (H, W) pixels of a window and remember their checksum."""
        with named_errors(self.path):
            self._dataset.write(pixels, 1, window=window)
        self._written.append((window, zlib.crc32(np.ascontiguousarray(pixels).data)))

    def close(self) -> None:
        """Close the plain file."""
        with named_errors(self.path):
            self._dataset.close()

    def finish(self) -> None:
        """Convert the plain file to a COG, compare the COG with the written pixels, and rename it into place."""
        self.close()
        # Several threads are allowed only for writing: if several threads read, GDAL 3.10 reports a damaged tile only
        # once.
        with named_errors(self.path), rasterio.Env(GDAL_NUM_THREADS="ALL_CPUS"):
            self._build_overviews()
            rasterio.shutil.copy(
                self._plain,
                self._cog,
                driver="COG",
                COMPRESS="DEFLATE",
                LEVEL=LEVEL,
                BLOCKSIZE=TILE,
                OVERVIEWS="FORCE_USE_EXISTING",
                BIGTIFF="IF_SAFER",
            )
            read_back(self._cog, self._written)
            put_in_place(self._cog, self.path)

    def _build_overviews(self) -> None:
        if self._plain.stat().st_size < self.grid.height * self.grid.width:
            raise _no_space(self._plain)
        factors = _overviews(self.grid)
        with rasterio.open(self._plain, "r+") as dataset:
            dataset.build_overviews(factors, Resampling[self.layer.resampling.lower()])
        if self.layer.colours:
            with rasterio.open(self._plain, "r+") as dataset:
                # Colours are written after the overviews; otherwise GDAL would average colours instead of values.
                dataset.write_colormap(1, dict(self.layer.colours))
        _require_overviews(self._plain, len(factors))


@contextmanager
def _unfinished(path: Path, grid: Grid, layer: CogLayer) -> Iterator[_UnfinishedMap]:
    with work_folder(path) as folder, closing(_UnfinishedMap(path, grid, layer, folder)) as unfinished:
        yield unfinished


def named_errors(path: Path) -> AbstractContextManager[None]:
    """Context that names a map in errors of GDAL and of the file system.

    Args:
        path: The map.
    """
    # CPLE_BaseError is included, since rasterio lets some errors of GDAL pass, such as those of a copy to a full disk.
    return writing(path, RasterioError, CPLE_BaseError)


def read_back(path: Path, written: Iterable[tuple[Window, int]]) -> None:
    """Compare a file with the written pixels, since GDAL does not report an error of the last write to a file.

    Args:
        path: The file.
        written: Windows with the CRC-32 of their (bands, H, W) pixels.

    Raises:
        OSError: The file holds other pixels.
    """
    with rasterio.open(path) as dataset:
        for window, checksum in written:
            if zlib.crc32(dataset.read(window=window)) != checksum:
                raise _no_space(path)


def _require_overviews(path: Path, levels: int) -> None:
    """Check that a file holds every tile of its overviews; GDAL does not report tiles that it failed to write."""
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
    """Reduction factors of the overviews; the last overview fits into a tile."""
    halvings = max(math.ceil(math.log2(max(grid.height, grid.width) / TILE)), 0)
    return [2**level for level in range(1, halvings + 1)]
