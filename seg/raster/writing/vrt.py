"""Write windows and bands of rasters as VRT files, which refer to other files and copy no pixels."""

import os
from pathlib import Path
from xml.etree import ElementTree as Xml

from rasterio import Affine
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.io import DatasetReader
from rasterio.windows import Window

from seg.raster.grid import band_texts

GDAL_TYPES = {
    "uint8": "Byte",
    "int8": "Int8",
    "uint16": "UInt16",
    "int16": "Int16",
    "uint32": "UInt32",
    "int32": "Int32",
    "uint64": "UInt64",
    "int64": "Int64",
    "float32": "Float32",
    "float64": "Float64",
}
"""GDAL's names of rasterio's data types."""

_INTERPRETATIONS = {"Y": "YCbCr_Y", "Cb": "YCbCr_Cb", "Cr": "YCbCr_Cr", "other_ir": "OtherIR"}
"""GDAL's names of colour interpretations that differ from rasterio's; GDAL ignores case."""


def write_window_vrt(path: Path, source: DatasetReader, window: Window, final_folder: Path | None = None) -> None:
    """Write a window as a VRT; keep bands, georeference, nodata, mask, alpha, colours, names and tags.

    The VRT refers to its source by a relative path, so that both can be moved together.

    Args:
        path: The file to write.
        source: The open raster.
        window: Window of whole pixels inside the raster.
        final_folder: Folder that the file will be moved to; None if it stays.
    """
    root = vrt_root(source, window)
    _add_tags(root, source.tags())
    # Symbolic links are resolved, since the operating system resolves ".." from the real folder.
    file = os.path.relpath(os.path.realpath(source.name), os.path.realpath(final_folder or path.parent))
    for band in source.indexes:
        add_source(add_band(root, source, band), Path(file), str(band), window)
    if has_mask_file(source):
        mask = Xml.SubElement(Xml.SubElement(root, "MaskBand"), "VRTRasterBand", dataType="Byte")
        add_source(mask, Path(file), "mask,1", window)
    Xml.indent(root)
    path.write_text(Xml.tostring(root, encoding="unicode") + "\n", encoding="utf-8")


def has_mask_file(source: DatasetReader) -> bool:
    """True if a raster has a mask file; an alpha band does not count."""
    flags = source.mask_flag_enums[0]
    return MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags


def vrt_root(source: DatasetReader, window: Window) -> Xml.Element:
    """Root element of a VRT without bands, with the size and georeference of a window.

    Args:
        source: The open raster.
        window: Window of whole pixels inside the raster.
    """
    root = Xml.Element("VRTDataset", rasterXSize=str(window.width), rasterYSize=str(window.height))
    if source.crs is not None:
        Xml.SubElement(root, "SRS").text = source.crs.to_wkt(version="WKT2_2019")
    if not source.transform.is_identity:
        t = source.transform @ Affine.translation(window.col_off, window.row_off)
        Xml.SubElement(root, "GeoTransform").text = ", ".join(map(repr, map(float, (t.c, t.a, t.b, t.f, t.d, t.e))))
    return root


def add_band(root: Xml.Element, source: DatasetReader, band: int) -> Xml.Element:
    """Append an empty band with the metadata of a source band.

    Args:
        root: Root of the VRT.
        source: The open raster.
        band: Band of the raster, from 1.

    Returns:
        The new band, for `add_source`.
    """
    dtype, meaning = source.dtypes[band - 1], source.colorinterp[band - 1]
    element = Xml.SubElement(root, "VRTRasterBand", dataType=GDAL_TYPES[dtype], band=str(band))
    _add_tags(element, source.tags(band))
    texts = {
        "Description": band_texts(source)[band - 1],
        "UnitType": band_texts(source, "units")[band - 1],
        "NoDataValue": _number(source.nodatavals[band - 1]),
        "Offset": _number(source.offsets[band - 1] or None),
        "Scale": _number(None if source.scales[band - 1] == 1 else source.scales[band - 1]),
        "ColorInterp": None if meaning is ColorInterp.undefined else _INTERPRETATIONS.get(meaning.name, meaning.name),
    }
    for tag, text in texts.items():
        if text:
            Xml.SubElement(element, tag).text = text
    if meaning is ColorInterp.palette:
        table = Xml.SubElement(element, "ColorTable")
        for _, colour in sorted(source.colormap(band).items()):
            Xml.SubElement(table, "Entry", {f"c{place}": str(value) for place, value in enumerate(colour, start=1)})
    return element


def add_source(band: Xml.Element, file: Path, source_band: str, window: Window) -> None:
    """Add a source of pixels to a band of a VRT.

    Args:
        band: The band of the VRT.
        file: Raster with the pixels, absolute or relative to the VRT's folder.
        source_band: Band of that raster in GDAL's terms, such as "1" or "mask,1".
        window: Window of whole pixels inside that raster.
    """
    element = Xml.SubElement(band, "SimpleSource")
    relative = "0" if file.is_absolute() else "1"
    Xml.SubElement(element, "SourceFilename", relativeToVRT=relative).text = file.as_posix()
    Xml.SubElement(element, "SourceBand").text = source_band
    for tag, left, top in (("SrcRect", window.col_off, window.row_off), ("DstRect", 0, 0)):
        sides = {"xOff": left, "yOff": top, "xSize": window.width, "ySize": window.height}
        Xml.SubElement(element, tag, {name: str(number) for name, number in sides.items()})


def _add_tags(element: Xml.Element, tags: dict[str, str]) -> None:
    # Statistics of the whole raster are wrong for a window.
    kept = {key: value for key, value in tags.items() if not key.startswith("STATISTICS_")}
    if kept:
        metadata = Xml.SubElement(element, "Metadata")
        for key, value in kept.items():
            Xml.SubElement(metadata, "MDI", key=key).text = "".join(c for c in value if c.isprintable() or c in "\n\t")


def _number(value: float | None) -> str | None:
    if value is None:
        return None
    return str(int(value)) if float(value).is_integer() and abs(value) < 2**63 else repr(float(value))
