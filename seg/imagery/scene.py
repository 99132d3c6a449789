"""Write a product as a scene: a VRT file that refers to the product's files and copies no pixels, or a COG."""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree as Xml

import numpy as np
from rasterio import Affine
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from seg import __version__
from seg.errors import RasterError
from seg.files import SOFTWARE, complete_or_absent, remove_unfinished, require_output_file, work_folder
from seg.imagery.grids import Place, band_grid, common_grid, place_on
from seg.imagery.masks import MASK, MaskSource, mask_source, write_mask
from seg.imagery.network_mask import BANDS as NETWORK_BANDS
from seg.imagery.network_mask import FINEST_M, HIDDEN, classify_clouds
from seg.imagery.product import Product, SourceBand, choose_bands
from seg.imagery.settings import BY_NETWORK, NO_MASK, MaskSettings, SceneSettings
from seg.imagery.storage import Storage, require_one_type, storage_of
from seg.raster.chips import unreadable
from seg.raster.folder import GEOTIFF_SUFFIXES
from seg.raster.grid import Grid, band_texts, open_raster, read_grid, require_same_grid
from seg.raster.remote import gdal_name, is_remote, is_virtual
from seg.raster.sources import require_apart
from seg.raster.writing.cog import TILE
from seg.raster.writing.scene_cog import SceneLayout, ScenePart, write_scene_cog
from seg.raster.writing.vrt import GDAL_TYPES, add_band

VRT = ".vrt"

BANDS = ".bands"
"""Suffix of small VRT files beside a scene; each declares the nodata value of a band that is resampled. Commands that
search a folder for scenes ignore this suffix."""

_COPIED_AT_ONCE = 4 * TILE
"""Side in pixels of the windows that are copied to a COG."""


@dataclass(frozen=True)
class _Layer:
    """A band of a scene, the source of its pixels, and the height and width of the source's tiles."""

    band: SourceBand
    grid: Grid
    place: Place
    storage: Storage
    tile: tuple[int, int]

    @property
    def needs_nodata(self) -> bool:
        """True if a VRT of the file must declare its nodata value, so that GDAL does not interpolate nodata."""
        return self.place.resampling is not None and self.storage.source_nodata != self.grid.nodata


@dataclass(frozen=True)
class Scene:
    """A scene that was written.

    Attributes:
        grid: Its grid.
        bands: Its bands and their sources.
        hidden: Share of the pixels that the mask hides, 0 to 1; None without a mask.
    """

    grid: Grid
    bands: tuple[SourceBand, ...]
    hidden: float | None


def write_scene(
    product: Product, output: Path, settings: SceneSettings | None = None, masking: MaskSettings | None = None
) -> Scene:
    """Write a scene of a product: a VRT that reads the product's files where they lie, or a COG.

    Nodata stays nodata: it is neither scaled nor interpolated. All bands get the grid of the band with the smallest
    pixels, or a grid with the pixel size `settings.resolution`. A VRT may need further files with the same stem: the
    mask (`.msk`), and VRTs that declare nodata (`.bands`). A COG holds nodata where the scene is masked.

    Args:
        product: The product.
        output: The .vrt or .tif file; an older file is replaced.
        settings: Bands, grid and units.
        masking: The mask of the scene.

    Raises:
        ConfigError: The output has another suffix, its folder is missing, or it is one of the product's files.
        RasterError: A band is missing or cannot be read, or the bands or the mask do not fit each other.
        WriteError: A file cannot be written.
    """
    settings, masking = settings or SceneSettings(), masking or MaskSettings()
    require_output_file(output, (VRT, *GEOTIFF_SUFFIXES))
    bands = choose_bands(product, settings.bands, settings.resolution)
    require_apart([output, output.with_suffix(MASK)], [band.file for band in bands])
    if output.suffix.lower() == VRT:
        return _write_vrt(product, bands, output, settings, masking)
    with work_folder(output.with_suffix(VRT)) as folder:
        scene = _write_vrt(product, bands, folder / f"scene{VRT}", settings, masking)
        _copy_to_cog(scene.grid.path, output)
    return replace(scene, grid=replace(scene.grid, path=output))


def _copy_to_cog(scene: Path, output: Path) -> None:
    """Copy a scene to a COG with its band names, scales and tags; it holds nodata where the scene is masked."""
    grid = read_grid(scene)
    with open_raster(scene) as dataset:
        layout = SceneLayout(
            grid.dtype,
            grid.band_names or ("",) * grid.bands,
            grid.nodata,
            grid.scaling,
            band_texts(dataset, "units"),
            dataset.tags(),
        )
        write_scene_cog(output, grid, layout, _windows(dataset))


def _windows(dataset: DatasetReader) -> Iterator[ScenePart]:
    """Windows with their pixels and validity; pixels that the mask hides hold the nodata value."""
    for top in range(0, dataset.height, _COPIED_AT_ONCE):
        for left in range(0, dataset.width, _COPIED_AT_ONCE):
            width, height = dataset.width - left, dataset.height - top
            window = Window(left, top, min(_COPIED_AT_ONCE, width), min(_COPIED_AT_ONCE, height))
            try:
                pixels, valid = dataset.read(window=window), dataset.read_masks(1, window=window) > 0
            except RasterioError as error:
                raise unreadable(dataset, window, error) from error
            if dataset.nodata is not None:
                pixels[:, ~valid] = np.asarray(dataset.nodata, pixels.dtype)
            yield window, pixels, valid


def _write_vrt(
    product: Product, bands: Sequence[SourceBand], output: Path, settings: SceneSettings, masking: MaskSettings
) -> Scene:
    layers, scene = _layers(bands, settings, output)
    hidden = None if masking.mask == NO_MASK else _write_mask(product, scene, output.with_suffix(MASK), masking)
    root = _root(scene)
    add_tags(root, product.tags | {"SOFTWARE": f"{SOFTWARE} {__version__}"})
    declared = {layer.band.file: _declare_nodata(layer, output) for layer in layers if layer.needs_nodata}
    for number, layer in enumerate(layers, start=1):
        _add_layer(root, number, layer, _source(declared.get(layer.band.file, layer.band.file), output))
    # The planner of maps sizes its cache by the tiles. Without these attributes, GDAL states tiles of 128 pixels.
    height, width = next((layer.tile for layer in layers if layer.place.resampling is None), layers[0].tile)
    for band in root.findall("VRTRasterBand"):
        band.set("blockXSize", str(min(width, scene.width)))
        band.set("blockYSize", str(min(height, scene.height)))
    if hidden is not None:
        band = Xml.SubElement(Xml.SubElement(root, "MaskBand"), "VRTRasterBand", dataType="Byte")
        _add_source(Xml.SubElement(band, "SimpleSource"), _source(output.with_suffix(MASK), output), 1)
    write_xml(root, output)
    return Scene(scene, tuple(bands), hidden)


def _write_mask(product: Product, scene: Grid, path: Path, masking: MaskSettings) -> float:
    """Write the mask of a scene, and return the share of pixels that it hides."""
    if masking.mask != BY_NETWORK:
        mask = mask_source(product, masking)
        require_apart([path], [mask.band.file])
        return write_mask(mask, scene, path, masking.mask_dilate)
    size = scene.pixel_size_m or FINEST_M
    resolution = scene.pixel_size[0] * FINEST_M / size if size < FINEST_M else None
    with work_folder(path.with_suffix(".clouds")) as folder:
        bands, classes = choose_bands(product, NETWORK_BANDS, resolution), folder / "classes.tif"
        image = _write_vrt(product, bands, folder / f"image{VRT}", SceneSettings(resolution=resolution), MaskSettings())
        classify_clouds(image.grid.path, classes, masking.mask_weights)
        source = MaskSource(SourceBand("clouds", classes), "classes", tuple(masking.mask_values or HIDDEN))
        return write_mask(source, scene, path, masking.mask_dilate)


def _layers(bands: Sequence[SourceBand], settings: SceneSettings, output: Path) -> tuple[list[_Layer], Grid]:
    grids = [band_grid(band) for band in bands]
    scene = common_grid(grids, settings.resolution)
    stored = [storage_of(band, grid, settings.units) for band, grid in zip(bands, grids, strict=True)]
    require_one_type(bands, stored)
    layers = []
    for band, grid, storage in zip(bands, grids, stored, strict=True):
        with open_raster(band.file) as dataset:
            tile = dataset.block_shapes[band.index - 1]
        layers.append(_Layer(band, grid, place_on(grid, scene), storage, tile))
        _require_covering(layers[-1], scene)
    return layers, replace(scene, path=output)


def _require_covering(layer: _Layer, scene: Grid) -> None:
    """Check that a band covers the scene, or declares nodata for the rest; GDAL would fill the rest with zeros."""
    if layer.place.resampling is None:
        require_same_grid(layer.grid, scene)
    if layer.storage.nodata is None and not layer.place.covers(scene):
        raise RasterError(
            f"{layer.grid.path}: covers only a part of {scene.path} and declares no nodata; declare a nodata value, or "
            "leave the file out with --bands"
        )


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
    band = _unchanged_band(root, layer) if layer.band.quantity == "stored" else Xml.SubElement(root, "VRTRasterBand")
    band.set("dataType", GDAL_TYPES[storage.dtype])
    band.set("band", str(number))
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


def _unchanged_band(root: Xml.Element, layer: _Layer) -> Xml.Element:
    """An empty band with the unit and the tags of the file's band."""
    with open_raster(layer.band.file) as dataset:
        band = add_band(root, dataset, layer.band.index)
    # These elements describe the band of the file, not the band of the scene. Some are written again for the scene.
    for tag in ("Description", "ColorInterp", "ColorTable", "NoDataValue", "Offset", "Scale"):
        for element in band.findall(tag):
            band.remove(element)
    return band


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
    """Write a VRT completely or not at all.

    An older file with the same content is not replaced, since a new file would make an interrupted map start again.

    Raises:
        WriteError: The file cannot be written.
    """
    Xml.indent(root)
    content = (Xml.tostring(root, encoding="unicode") + "\n").encode()
    if path.is_file() and path.read_bytes() == content:
        remove_unfinished(path)
        return
    with complete_or_absent(path) as unfinished:
        unfinished.write_bytes(content)


def _source(file: Path, vrt: Path) -> tuple[str, bool]:
    """Name of a source in a VRT, and True if it is relative to the VRT's folder.

    A relative path keeps a VRT valid if it is moved together with its sources. Members of archives need absolute paths.
    """
    if is_remote(file) or is_virtual(file):
        return gdal_name(file), False
    # Symbolic links are resolved, since the operating system applies ".." to the real folder.
    real = os.path.realpath(file)
    try:
        return Path(os.path.relpath(real, os.path.realpath(vrt.parent))).as_posix(), True
    except ValueError:  # The file is on another drive of Windows.
        return Path(real).as_posix(), False
