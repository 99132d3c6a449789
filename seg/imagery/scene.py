"""Write a product as a scene: a VRT file that refers to the product's files and copies no pixels."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as Xml

from rasterio import Affine

from seg import __version__
from seg.files import SOFTWARE, complete_or_absent, require_output_file
from seg.imagery.grids import Place, band_grid, common_grid, place_on
from seg.imagery.product import Product, SourceBand, choose_bands
from seg.imagery.settings import SceneSettings
from seg.imagery.storage import Storage, require_one_type, storage_of
from seg.raster.grid import Grid
from seg.raster.remote import gdal_name, is_remote, is_virtual
from seg.raster.sources import require_apart
from seg.raster.writing.vrt import GDAL_TYPES

BANDS = ".bands"
"""Suffix of the small VRT files beside a scene that declare nodata for bands with large pixels. It is no suffix of
rasters, so that a folder of scenes does not show them as scenes."""


@dataclass(frozen=True)
class _Layer:
    """A band of a scene and where its pixels come from."""

    band: SourceBand
    grid: Grid
    place: Place
    storage: Storage

    @property
    def needs_nodata(self) -> bool:
        """True if the file must first declare its nodata, so that GDAL leaves nodata out of the interpolation."""
        return self.place.resampling is not None and self.storage.source_nodata != self.grid.nodata


def write_scene(product: Product, output: Path, settings: SceneSettings) -> Grid:
    """Write a scene of a product as a VRT; the product's files are read where they lie.

    Nodata stays nodata: it is neither scaled nor interpolated. All bands lie on the grid of the band with the smallest
    pixels, or on that of `settings.resolution`.

    Args:
        product: The product.
        output: The .vrt file; an older file is replaced. Files with the same stem and the suffix `.bands` may be
            written beside it.
        settings: Bands, grid and units.

    Returns:
        The grid of the scene.

    Raises:
        ConfigError: The output has another suffix, its folder is missing, or it is one of the product's files.
        RasterError: A band is missing or cannot be read, or the bands do not fit each other.
        WriteError: A file cannot be written.
    """
    require_output_file(output, (".vrt",))
    bands = choose_bands(product, settings.bands, settings.resolution)
    require_apart([output], [band.file for band in bands])
    grids = [band_grid(band) for band in bands]
    scene = common_grid(grids, settings.resolution, output)
    stored = [storage_of(band, grid, settings.units) for band, grid in zip(bands, grids, strict=True)]
    require_one_type(bands, stored)
    layers = [
        _Layer(band, grid, place_on(grid, scene), storage)
        for band, grid, storage in zip(bands, grids, stored, strict=True)
    ]
    declared = {layer.band.file: _declare_nodata(layer, output) for layer in layers if layer.needs_nodata}
    root = _root(scene)
    add_tags(root, product.tags | {"SOFTWARE": f"{SOFTWARE} {__version__}"})
    for number, layer in enumerate(layers, start=1):
        _add_layer(root, number, layer, _source(declared.get(layer.band.file, layer.band.file), output))
    write_xml(root, output)
    return scene


def _declare_nodata(layer: _Layer, output: Path) -> Path:
    """Write a VRT of a band's file, on its own grid, that declares the nodata value."""
    path = output.with_name(f"{output.stem}.{layer.band.name}{BANDS}")
    root = _root(layer.grid)
    for index in range(1, layer.grid.bands + 1):
        band = Xml.SubElement(root, "VRTRasterBand", dataType=GDAL_TYPES[layer.grid.dtype], band=str(index))
        Xml.SubElement(band, "NoDataValue").text = number_text(layer.storage.source_nodata)
        source = Xml.SubElement(band, "SimpleSource")
        _add_source(source, _source(layer.band.file, path), index)
    write_xml(root, path)
    return path


def _add_layer(root: Xml.Element, number: int, layer: _Layer, file: tuple[str, bool]) -> None:
    storage, place, grid = layer.storage, layer.place, layer.grid
    band = Xml.SubElement(root, "VRTRasterBand", dataType=GDAL_TYPES[storage.dtype], band=str(number))
    texts = {
        "Description": layer.band.name,
        "NoDataValue": number_text(storage.nodata),
        "Offset": number_text(storage.measured_offset or None),
        "Scale": number_text(None if storage.scale == 1 else storage.scale),
    }
    for tag, text in texts.items():
        if text:
            Xml.SubElement(band, tag).text = text
    source = Xml.SubElement(band, "ComplexSource")
    if place.resampling:
        source.set("resampling", place.resampling)
    _add_source(source, file, layer.band.index)
    _add_rectangle(source, "SrcRect", (0, 0, grid.width, grid.height))
    _add_rectangle(source, "DstRect", (place.left, place.top, place.width, place.height))
    if storage.is_scaled:
        Xml.SubElement(source, "ScaleOffset").text = number_text(storage.offset)
        Xml.SubElement(source, "ScaleRatio").text = number_text(storage.ratio)
    if storage.source_nodata is not None:
        Xml.SubElement(source, "NODATA").text = number_text(storage.source_nodata)


def _add_source(source: Xml.Element, file: tuple[str, bool], index: int) -> None:
    name, relative = file
    Xml.SubElement(source, "SourceFilename", relativeToVRT=str(int(relative))).text = name
    Xml.SubElement(source, "SourceBand").text = str(index)


def _add_rectangle(source: Xml.Element, tag: str, sides: Sequence[float]) -> None:
    names = ("xOff", "yOff", "xSize", "ySize")
    Xml.SubElement(source, tag, {name: number_text(side) or "" for name, side in zip(names, sides, strict=True)})


def _root(grid: Grid) -> Xml.Element:
    root = Xml.Element("VRTDataset", rasterXSize=str(grid.width), rasterYSize=str(grid.height))
    if grid.crs is not None:
        Xml.SubElement(root, "SRS").text = grid.crs.to_wkt(version="WKT2_2019")
    if grid.transform != Affine.identity():
        t = grid.transform
        Xml.SubElement(root, "GeoTransform").text = ", ".join(repr(float(v)) for v in (t.c, t.a, t.b, t.f, t.d, t.e))
    return root


def add_tags(element: Xml.Element, tags: Mapping[str, str]) -> None:
    """Add tags to a VRT or to one of its bands; unprintable characters are left out."""
    metadata = Xml.SubElement(element, "Metadata")
    for key, value in tags.items():
        Xml.SubElement(metadata, "MDI", key=key).text = "".join(filter(str.isprintable, value))


def number_text(value: float | None) -> str | None:
    """Shortest text of a number that GDAL reads as the same number; None for None."""
    if value is None:
        return None
    whole = math.isfinite(value) and float(value).is_integer() and abs(value) < 2**63
    return str(int(value)) if whole else repr(float(value))


def write_xml(root: Xml.Element, path: Path) -> None:
    """Write a VRT, complete or absent.

    Raises:
        WriteError: The file cannot be written.
    """
    Xml.indent(root)
    with complete_or_absent(path) as unfinished:
        unfinished.write_text(Xml.tostring(root, encoding="unicode") + "\n", encoding="utf-8")


def _source(file: Path, vrt: Path) -> tuple[str, bool]:
    """Name of a source in a VRT, and True if it is relative to the VRT's folder.

    A relative path keeps a VRT valid if it is moved together with its sources. Members of archives need absolute paths.
    """
    if is_remote(file) or is_virtual(file):
        return gdal_name(file), False
    # Symbolic links are resolved, since the operating system resolves ".." from the real folder.
    real = os.path.realpath(file)
    try:
        return Path(os.path.relpath(real, os.path.realpath(vrt.parent))).as_posix(), True
    except ValueError:  # The file is on another drive of Windows.
        return Path(real).as_posix(), False
