"""Assemble an int8 Cloud Optimized GeoTIFF of many bands from windows, in bounded memory."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.shutil
from rasterio.windows import Window

from seg.files import put_in_place, work_folder
from seg.raster.grid import Grid
from seg.raster.writing.cog import named_errors

NODATA = -128
TILE = 256
"""Side of an internal tile in pixels; the tiles of a hundred bands at one place hold 6 MB before compression."""


@dataclass(frozen=True)
class Int8Layer:
    """Metadata of the file.

    Attributes:
        bands: Number of bands.
        scale: Factor from stored to real values, the same in all bands.
        description: Name of the bands; in the file, the number of the band follows the name.
        tags: Tags of the file.
    """

    bands: int
    scale: float
    description: str
    tags: Mapping[str, str] = field(default_factory=dict)


def write_int8_cog(
    path: Path, grid: Grid, layer: Int8Layer, parts: Iterable[tuple[Window, npt.NDArray[np.int8]]]
) -> None:
    """Write a raster of int8 bands, atomically; overviews hold every n-th pixel.

    Args:
        path: The file to write.
        grid: Grid of the raster.
        layer: Number, scale and names of the bands.
        parts: Windows with their (bands, H, W) pixels; together they cover the grid. Pixels without data hold NODATA.

    Raises:
        WriteError: The file cannot be written.
        ClaimError: Another process writes the file.
    """
    profile = {
        "driver": "GTiff",
        "dtype": "int8",
        "count": layer.bands,
        "height": grid.height,
        "width": grid.width,
        "crs": grid.crs,
        "transform": grid.transform,
        "nodata": NODATA,
        "tiled": True,
        "blockxsize": TILE,
        "blockysize": TILE,
        "interleave": "band",
        "bigtiff": "if_safer",
    }
    with named_errors(path), work_folder(path) as folder:
        plain, cog = folder / "plain.tif", folder / path.name
        with rasterio.open(plain, "w", **profile) as dataset:
            dataset.descriptions = tuple(f"{layer.description} {band}" for band in range(1, layer.bands + 1))
            dataset.scales = (layer.scale,) * layer.bands
            dataset.update_tags(**layer.tags)
            for window, pixels in parts:
                dataset.write(pixels, window=window)
        options = {"COMPRESS": "DEFLATE", "BLOCKSIZE": TILE, "RESAMPLING": "NEAREST", "BIGTIFF": "IF_SAFER"}
        rasterio.shutil.copy(plain, cog, driver="COG", INTERLEAVE="BAND", **options)
        put_in_place(cog, path)
