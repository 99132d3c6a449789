"""A provider's product: its bands with scale and offset, its date and its quality band."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

from seg.errors import RasterError, listed
from seg.raster.writing.geotiff import Georeference

Quantity = Literal["reflectance", "temperature", "stored"]
"""Measured quantity of a band: reflectance from 0 to 1, temperature in kelvin, or stored values of unknown unit."""

MaskKind = Literal["classes", "bits", "layers", "polygons"]
"""Form of a quality band."""


@dataclass(frozen=True)
class SourceBand:
    """A band of a product in one file. A product may hold a band in several files, one for each pixel size.

    Measured value = stored value * scale + offset.

    Attributes:
        name: The provider's name of the band, such as "B04". `choose_bands` replaces it by the name in the user's list.
        file: Path, address or other GDAL name of the file with the band.
        index: Band of the file, from 1.
        aliases: Other names in lower case, such as "b4" and "red"; if several bands share a name, `rank` decides.
        scale: Factor from stored to measured values.
        offset: Measured value of the stored value 0.
        nodata: Stored value of pixels without data; None if the file declares the value or has none.
        quantity: Measured quantity.
        pixel_m: Pixel size in metres from the metadata; None if only the file states its pixel size.
        georeference: CRS and transform from the metadata, for a file without a CRS.
        absent: True if the metadata lists the file, but the product lacks it.
        extra: True if the band is used only when the user names it, such as a temperature or a classification.
    """

    name: str
    file: Path
    index: int = 1
    aliases: tuple[str, ...] = ()
    scale: float = 1.0
    offset: float = 0.0
    nodata: float | None = None
    quantity: Quantity = "stored"
    pixel_m: float | None = None
    georeference: Georeference | None = None
    absent: bool = False
    extra: bool = False

    def is_named(self, name: str) -> bool:
        """True if a name, in upper or lower case, is the band's name or one of its aliases."""
        return name.casefold() in self._names

    def rank(self, name: str) -> int:
        """Position of a name in the list of the band's name and aliases, from 0.

        If a name fits several bands, the band with the lowest rank is meant.
        """
        return self._names.index(name.casefold())

    @property
    def _names(self) -> tuple[str, ...]:
        return (self.name.casefold(), *self.aliases)


@dataclass(frozen=True)
class QualityBand:
    """A band of a product that tells which pixels show clouds.

    Attributes:
        band: The band; with "layers" and "polygons", only its file counts.
        kind: "classes" if each value is a class, as in Sentinel-2's scene classification; "bits" if each bit is a flag,
            as in Landsat's QA_PIXEL; "layers" if each band of the file is a flag, as in Sentinel-2's MSK_CLASSI;
            "polygons" if the file holds polygons of several classes, as Sentinel-2's MSK_CLOUDS does.
        hidden: Classes, bits or layers that are masked by default; layers count from 1.
        meanings: Meaning of each class or layer, for the check of the user's choice; empty for any number.
        read: Function that returns the bytes of a file of polygons; None for rasters.
    """

    band: SourceBand
    kind: MaskKind
    hidden: tuple[int, ...]
    meanings: Mapping[int, str] = field(default_factory=dict)
    read: Callable[[], bytes] | None = None


@dataclass(frozen=True)
class Product:
    """A product, or loose files that belong together.

    Attributes:
        path: Folder, archive, item or file that the user named.
        name: The provider's identifier, or the stem of the path.
        bands: All bands of image data. A band that the provider delivers at several pixel sizes appears once for each
            size.
        sensor: Satellite or instrument, such as "Sentinel-2A"; empty if unknown.
        level: Level of processing, such as "L2A"; empty if unknown.
        date: Time of acquisition in UTC; None if unknown.
        cloud_percent: Cloud cover from the metadata, 0 to 100; None if unknown.
        quality: Quality band; None if the product has none.
    """

    path: Path
    name: str
    bands: tuple[SourceBand, ...]
    sensor: str = ""
    level: str = ""
    date: datetime | None = None
    cloud_percent: float | None = None
    quality: QualityBand | None = None

    @property
    def band_names(self) -> list[str]:
        """Names of all bands in the provider's order, each once."""
        return list(dict.fromkeys(band.name for band in self.bands))

    @property
    def usual_names(self) -> list[str]:
        """Names of the bands that a scene has by default: all except extra bands, or all if every band is extra."""
        return list(dict.fromkeys(band.name for band in self.bands if not band.extra)) or self.band_names

    @property
    def tags(self) -> dict[str, str]:
        """Tags of a scene of this product: PRODUCT, SENSOR, LEVEL, DATE (ISO 8601) and CLOUD_COVER (percent)."""
        known = {
            "PRODUCT": self.name,
            "SENSOR": self.sensor,
            "LEVEL": self.level,
            "DATE": "" if self.date is None else self.date.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "CLOUD_COVER": "" if self.cloud_percent is None else f"{self.cloud_percent:g}",
        }
        return {key: value for key, value in known.items() if value}


def choose_bands(
    product: Product, names: Sequence[str] | None = None, resolution: float | None = None
) -> list[SourceBand]:
    """Choose bands of a product by name; each chosen band has the name that the user wrote.

    If a product holds a band at several pixel sizes, the largest size that does not exceed the resolution is chosen. If
    all sizes exceed the resolution, the smallest size is chosen.

    Args:
        product: The product.
        names: Names of the provider such as "B04", or common names such as "red", in upper or lower case; by default
            all bands that are not extra.
        resolution: Wanted pixel size in metres; by default the smallest.

    Raises:
        RasterError: The product lacks a band or the file of a band, or a band is named twice.
    """
    chosen = []
    for name in names or product.usual_names:
        named = [band for band in product.bands if band.is_named(name)]
        if not named:
            raise RasterError(
                f"{product.path}: has no band {name}; choose with --bands among {listed(product.band_names, most=20)}"
            )
        best = min(band.rank(name) for band in named)
        versions = [band for band in named if band.rank(name) == best]
        chosen.append(replace(_version(versions, resolution), name=name))
    places = [(band.file, band.index) for band in chosen]
    if not chosen or len(set(places)) < len(places):
        raise RasterError(
            f"{product.path}: bands are {', '.join(band.name for band in chosen) or 'none'}; wanted each band once; "
            f"choose with --bands among {listed(product.band_names, most=20)}"
        )
    for band in chosen:
        require_present(product, band)
    return chosen


def require_present(product: Product, band: SourceBand) -> None:
    """Check that the product holds the file of a band.

    Raises:
        RasterError: The metadata lists the file, but the product lacks it.
    """
    if band.absent:
        raise RasterError(
            f"{product.path}: lacks the file {band.file} of band {band.name}, which its metadata lists; download the "
            "product again, or choose other bands with --bands"
        )


def _version(versions: Sequence[SourceBand], resolution: float | None) -> SourceBand:
    sized = sorted(versions, key=lambda band: band.pixel_m or 0)
    coarse = [band for band in sized if resolution is not None and (band.pixel_m or 0) <= resolution]
    return coarse[-1] if coarse else sized[0]
