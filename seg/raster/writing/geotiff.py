"""Write arrays as tiled, deflated GeoTIFF files, atomically."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError
from rasterio.io import DatasetWriter, MemoryFile

from seg.errors import RasterError
from seg.files import complete_or_absent
from seg.raster.grid import Grid

_TILE = 256


@dataclass(frozen=True)
class Georeference:
    """CRS and transform of an array.

    Attributes:
        crs: Coordinate reference system; None if the array has no location.
        transform: Pixel-to-CRS affine.
    """

    crs: CRS | None
    transform: Affine


@dataclass(frozen=True)
class Annotation:
    """Metadata of a GeoTIFF, all of it optional.

    Attributes:
        nodata: Stored value that means "no data".
        descriptions: One name per band.
        tags: Tags of the file.
        band_tags: One mapping of tags per band.
        colours: RGBA, 0 to 255, by value; only for a single uint8 band.
    """

    nodata: float | None = None
    descriptions: Sequence[str] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    band_tags: Sequence[Mapping[str, str]] = ()
    colours: Mapping[int, tuple[int, int, int, int]] | None = None


def write_geotiff(
    path: Path, pixels: NDArray[np.generic], georeference: Georeference, annotation: Annotation | None = None
) -> None:
    """Write an array as a tiled, deflated GeoTIFF, replacing any older file of that name.

    The file is made in memory and renamed into place, so that a full disk or a killed run leaves the older file intact.

    Args:
        path: The file to write; its folder must exist.
        pixels: (H, W) or (C, H, W), of any type that GDAL stores.
        georeference: CRS and transform.
        annotation: Nodata, band names, tags and colours; none by default.

    Raises:
        RasterError: GeoTIFF cannot hold the array or its annotation, or the folder is missing.
        WriteError: The file cannot be written.
    """
    annotation = annotation or Annotation()
    bands = pixels[None] if pixels.ndim == 2 else pixels
    _check(path, bands, annotation)
    try:
        content = _encode(bands, georeference, annotation)
    except (RasterioError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise RasterError(
            f"{path}: cannot store {bands.dtype} {bands.shape} as GeoTIFF ({reason}); convert it, or change its nodata"
        ) from error
    _replace(path, content)


def byte_profile(grid: Grid, nodata: int) -> dict[str, Any]:
    """Arguments of `rasterio.open` for a raster of one uint8 band on a grid, without the tile size.

    Args:
        grid: Size, CRS and transform of the raster.
        nodata: Value of pixels without data.
    """
    return {
        "driver": "GTiff",
        "height": grid.height,
        "width": grid.width,
        "count": 1,
        "dtype": "uint8",
        "crs": grid.crs,
        "transform": grid.transform,
        "nodata": nodata,
        "tiled": True,
        "compress": "DEFLATE",
        "bigtiff": "IF_SAFER",
    }


def tile_sides(height: int, width: int, most: int) -> dict[str, int]:
    """Arguments of `rasterio.open` for the tiles of a raster; small rasters get small tiles without padding.

    Args:
        height: Rows of the raster.
        width: Columns of the raster.
        most: Largest side of a tile; sides are multiples of 16, as TIFF demands.
    """
    return {"blockysize": min(most, -(-height // 16) * 16), "blockxsize": min(most, -(-width // 16) * 16)}


def _check(path: Path, bands: NDArray[np.generic], annotation: Annotation) -> None:
    if bands.ndim != 3 or 0 in bands.shape:
        raise RasterError(f"{path}: array has shape {bands.shape}; wanted (H, W) or (C, H, W) without an empty axis")
    for name, values in (("descriptions", annotation.descriptions), ("band tags", annotation.band_tags)):
        if values and len(values) != len(bands):
            raise RasterError(f"{path}: {len(values)} {name} for {len(bands)} bands; give one for each band, or none")
    if annotation.colours is not None and (len(bands) != 1 or bands.dtype != np.uint8):
        raise RasterError(
            f"{path}: colours were given for {len(bands)} {bands.dtype} bands; GeoTIFF wants a single uint8 band"
        )


def _encode(bands: NDArray[np.generic], georeference: Georeference, annotation: Annotation) -> bytes:
    count, height, width = bands.shape
    with MemoryFile() as memory:
        with memory.open(
            driver="GTiff",
            height=height,
            width=width,
            count=count,
            dtype=bands.dtype.name,
            crs=georeference.crs,
            transform=georeference.transform,
            nodata=annotation.nodata,
            tiled=True,
            **tile_sides(height, width, _TILE),
            compress="deflate",
            predictor=3 if bands.dtype.kind == "f" else 2,
            bigtiff="if_safer",
        ) as dataset:
            _annotate(dataset, annotation)
            dataset.write(bands)
        return bytes(memory.read())


def _annotate(dataset: DatasetWriter, annotation: Annotation) -> None:
    if annotation.colours is None:
        # By default GDAL marks three uint8 bands as red, green and blue, and a fourth as alpha.
        dataset.colorinterp = [ColorInterp.gray] + [ColorInterp.undefined] * (dataset.count - 1)
    else:
        dataset.write_colormap(1, dict(annotation.colours))
    dataset.update_tags(**annotation.tags)
    for band, description in enumerate(annotation.descriptions, start=1):
        dataset.set_band_description(band, description)
    for band, tags in enumerate(annotation.band_tags, start=1):
        dataset.update_tags(band, **tags)


def _replace(path: Path, content: bytes) -> None:
    if not path.parent.is_dir():
        raise RasterError(f"{path}: its folder {path.parent} does not exist; make it first, or name another file")
    with complete_or_absent(path) as unfinished:
        unfinished.write_bytes(content)
