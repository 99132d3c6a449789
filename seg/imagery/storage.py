"""Stored numbers of a scene: data type, nodata value, and the conversion from a product's numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

from seg.errors import RasterError
from seg.imagery.product import SourceBand
from seg.imagery.settings import Units
from seg.raster.grid import Grid
from seg.raster.writing.vrt import GDAL_TYPES

STEPS = {"reflectance": 1e-4, "temperature": 0.1}
"""Scale of the integers in a scaled scene, by quantity: 0.0001 in reflectance, 0.1 kelvin in temperature."""

SCALED_NODATA = -32768
"""Nodata of scaled scenes. No valid pixel has this value: Sentinel-2 stores 15 bits, and Landsat's reflectance begins
at -0.2. A nodata value of 0 would hide valid pixels whose reflectance is 0. Reflectance above 3.2767, for example from
sun glint, is stored as 3.2767."""


@dataclass(frozen=True)
class Storage:
    """Stored numbers of one band of a scene.

    Stored value of the scene = stored value of the file * ratio + offset.

    Attributes:
        dtype: Data type of the scene.
        nodata: Nodata value of the scene, or None.
        source_nodata: Nodata value of the file, or None.
        ratio: Factor from the file's stored values to the scene's stored values.
        offset: Stored value of the scene for the file's value 0.
        scale: Factor from the scene's values to measured values, declared in the scene.
        measured_offset: Measured value of the scene's value 0, declared in the scene.
    """

    dtype: str
    nodata: float | None
    source_nodata: float | None
    ratio: float = 1.0
    offset: float = 0.0
    scale: float = 1.0
    measured_offset: float = 0.0

    @property
    def is_scaled(self) -> bool:
        """True if the values of the file are converted before they are stored."""
        return (self.ratio, self.offset) != (1, 0)


def storage_of(band: SourceBand, grid: Grid, units: Units) -> Storage:
    """Stored numbers of a band in a scene.

    Args:
        band: The band of the product.
        grid: Grid of the band's file.
        units: Wanted units.
    """
    nodata = grid.nodata if band.nodata is None else band.nodata
    if units == "stored" or band.quantity == "stored":
        scaling = grid.scaling[band.index - 1] if grid.scaling else (1.0, 0.0)
        scale, offset = (band.scale, band.offset) if (band.scale, band.offset) != (1, 0) else scaling
        return Storage(grid.dtype, nodata, nodata, scale=scale, measured_offset=offset)
    if units == "reflectance":
        return Storage("float32", float("nan"), nodata, band.scale, band.offset)
    step = STEPS[band.quantity]
    return Storage("int16", SCALED_NODATA, nodata, band.scale / step, band.offset / step, scale=step)


def require_one_type(bands: Sequence[SourceBand], stored: Sequence[Storage]) -> None:
    """Check that all bands of a scene have the same data type.

    Raises:
        RasterError: The types differ, or VRT files cannot hold the type.
    """
    for band, storage in zip(bands, stored, strict=True):
        if storage.dtype != stored[0].dtype or storage.dtype not in GDAL_TYPES:
            raise RasterError(
                f"{band.file}: holds {storage.dtype}, but {bands[0].file} holds {stored[0].dtype}; wanted one data "
                "type in all bands: leave the file out with --bands, or convert it (gdal_translate -ot)"
            )
