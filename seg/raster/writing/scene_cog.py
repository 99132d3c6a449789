"""Assemble a scene of several bands as a Cloud Optimized GeoTIFF from windows, in bounded memory."""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.shutil
from rasterio.enums import ColorInterp
from rasterio.io import DatasetWriter
from rasterio.windows import Window

from seg.files import put_in_place, work_folder
from seg.raster.chips import BoolMask
from seg.raster.grid import Grid
from seg.raster.writing.cog import LEVEL, TILE, named_errors, read_back

ScenePart = tuple[Window, npt.NDArray[np.generic], BoolMask]
"""A window with its (C, H, W) pixels and (H, W) validity."""


@dataclass(frozen=True)
class SceneLayout:
    """Bands and metadata of a scene.

    Attributes:
        dtype: Name of the data type of all bands.
        names: Name of each band; "" for a band without a name.
        nodata: Value of invalid pixels; None to store validity as a mask.
        scaling: Scale and offset of each band; empty if there are none.
        units: Unit of each band; empty if there are none.
        tags: Tags of the file.
    """

    dtype: str
    names: Sequence[str]
    nodata: float | None = None
    scaling: Sequence[tuple[float, float]] = ()
    units: Sequence[str] = ()
    tags: Mapping[str, str] = field(default_factory=dict)


def write_scene_cog(path: Path, grid: Grid, layout: SceneLayout, parts: Iterable[ScenePart]) -> None:
    """Write a scene on a grid, completely or not at all. Overviews hold averages of the pixels.

    Args:
        path: The file to write; its folder must exist.
        grid: Size, CRS and transform.
        layout: Bands and metadata.
        parts: Windows with their pixels and validity; together they cover the grid. Invalid pixels hold the nodata
            value.

    Raises:
        WriteError: The file cannot be written.
        ClaimError: Another process writes the file.
    """
    with named_errors(path), work_folder(path) as folder:
        plain, cog = folder / "plain.tif", folder / "cog.tif"
        written: list[tuple[Window, int]] = []
        with ExitStack() as opened:
            opened.enter_context(rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True))
            dataset = opened.enter_context(rasterio.open(plain, "w", **_profile(grid, layout)))
            _describe(dataset, layout)
            for window, pixels, valid in parts:
                dataset.write(pixels, window=window)
                if layout.nodata is None:
                    dataset.write_mask(valid, window=window)
                written.append((window, zlib.crc32(np.ascontiguousarray(pixels).data)))
        # Several threads are allowed only for writing: if several threads read, GDAL 3.10 reports a damaged tile only
        # once.
        with rasterio.Env(GDAL_NUM_THREADS="ALL_CPUS"):
            rasterio.shutil.copy(
                plain,
                cog,
                driver="COG",
                COMPRESS="DEFLATE",
                LEVEL=LEVEL,
                PREDICTOR="YES",
                BLOCKSIZE=TILE,
                RESAMPLING="AVERAGE",
                BIGTIFF="IF_SAFER",
            )
        read_back(cog, written)
        put_in_place(cog, path)


def _profile(grid: Grid, layout: SceneLayout) -> dict[str, object]:
    return {
        "driver": "GTiff",
        "dtype": layout.dtype,
        "count": len(layout.names),
        "height": grid.height,
        "width": grid.width,
        "crs": grid.crs,
        "transform": grid.transform,
        "nodata": layout.nodata,
        "tiled": True,
        "blockxsize": TILE,
        "blockysize": TILE,
        "bigtiff": "if_safer",
    }


def _describe(dataset: DatasetWriter, layout: SceneLayout) -> None:
    # By default GDAL marks three uint8 bands as red, green and blue, and a fourth as alpha.
    dataset.colorinterp = [ColorInterp.gray] + [ColorInterp.undefined] * (dataset.count - 1)
    dataset.update_tags(**layout.tags)
    for band, name in enumerate(layout.names, start=1):
        dataset.set_band_description(band, name)
    if layout.scaling:
        dataset.scales, dataset.offsets = zip(*layout.scaling, strict=True)
    if layout.units:
        dataset.units = tuple(layout.units)
