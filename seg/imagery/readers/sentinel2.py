"""Sentinel-2 products (L1C and L2A) in the SAFE layout, as a folder or a ZIP archive.

The layout and the elements of the metadata follow ESA's Products Specification Document, S2-PDGS-TAS-DI-PSD, issues 14
and 15: https://sentiwiki.copernicus.eu/web/document-library.
"""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from xml.etree import ElementTree as Xml

from seg.errors import RasterError, listed
from seg.imagery.product import Product, QualityBand, SourceBand
from seg.imagery.readers.container import Container, inner_folder
from seg.imagery.readers.metadata import elements, first_text, moment, number, parse_xml

COMMON_NAMES = {
    "B01": "coastal",
    "B02": "blue",
    "B03": "green",
    "B04": "red",
    "B05": "rededge071",
    "B06": "rededge075",
    "B07": "rededge078",
    "B08": "nir",
    "B8A": "nir08",
    "B09": "nir09",
    "B10": "cirrus",
    "B11": "swir16",
    "B12": "swir22",
}
"""Common names of the bands, in the order of the metadata's `bandId`: https://github.com/stac-extensions/eo."""

CLOUD_CLASSES = (3, 8, 9, 10)
"""Masked classes of the scene classification: cloud shadow, cloud of medium and of high probability, thin cirrus."""

NODATA = 0
"""Stored value of pixels without data, in products with and without an offset."""

KNOWN_BASELINES = ("02", "03", "04", "05")
"""First two digits of the readable processing baselines; 02.04 to 05.11 are known."""

OWN_PROCESSING = "99.99"
"""Baseline that Sen2Cor writes into products that a user processed."""

FIRST_WITH_OFFSET = "04.00"
"""First baseline whose metadata must list an offset for each band."""

CLASSIFICATION = "SCL"
"""Name of the scene classification, a band of L2A products."""

MASK_LAYERS = {1: "opaque cloud", 2: "cirrus", 3: "snow or ice"}
"""Layers of the classification mask `MSK_CLASSI`, which L1C products have since baseline 04.00."""

MASK_POLYGONS = {1: "opaque cloud", 2: "cirrus"}
"""Classes of the cloud polygons `MSK_CLOUDS`, which products had before baseline 04.00."""

CLOUD_LAYERS = (1, 2)
"""Masked layers and classes of L1C products. These masks have no cloud shadows."""

_METADATA = re.compile(r"(.*/)?(MTD_MSIL(1C|2A)|S2[A-Z]_[A-Z]{4}_MTD_(SAF|DS)?L(1C|2A)_\w+)\.xml", re.IGNORECASE)
"""Names of the product metadata: since the compact format of December 2016, and before."""

_BAND = r"_(?P<band>B\d[\dA]|SCL)(?:_(?P<pixel>\d\d)m)?"

_IMAGE = re.compile(
    rf"(?P<folder>.*/)?GRANULE/(?P<granule>[^/]+)/IMG_DATA/(?:R\d\dm/)?[^/]*{_BAND}\.jp2", re.IGNORECASE
)

_LISTED = re.compile(rf".*{_BAND}", re.IGNORECASE)
"""Path of an image in the metadata, which omits the suffix."""

_QUALITY = r"(?P<folder>.*/)?GRANULE/[^/]+/QI_DATA"
_LAYERS_FILE = re.compile(rf"{_QUALITY}/MSK_CLASSI_B00\.jp2", re.IGNORECASE)
_POLYGONS_FILE = re.compile(rf"{_QUALITY}/(?:S2[^/]*_)?MSK_CLOUDS_[^/]*B00[^/]*\.gml", re.IGNORECASE)
"""Names of the cloud masks of L1C products; before December 2016, the name of the polygons is longer."""

_PIXELS_M = {"B02": 10, "B03": 10, "B04": 10, "B08": 10, "B01": 60, "B09": 60, "B10": 60}
"""Pixel size of L1C bands in metres, since their file names do not state it; all other bands have 20 m."""


def is_sentinel2(container: Container) -> bool:
    """True if a folder or archive holds the metadata of a Sentinel-2 product or one of its granules."""
    return any(_METADATA.fullmatch(name) or _IMAGE.fullmatch(name) for name in container.members)


def read_sentinel2(container: Container) -> Product:
    """Read the metadata of a Sentinel-2 product; no image is opened.

    Reflectance = (stored value + offset) / quantification value. Since baseline 04.00 the metadata lists an offset,
    usually -1000, for each band: https://sentiwiki.copernicus.eu/web/s2-processing.

    Raises:
        RasterError: The metadata is missing, damaged or of an unknown baseline; the product has no granule, or several.
    """
    name, root = _metadata(container)
    folder = inner_folder(name)
    level = "L1C" if "L1C" in PurePosixPath(name).name.upper() else "L2A"
    images = _images(container, root, folder)
    offsets = _offsets(container, root)
    quantity = first_text(root, "QUANTIFICATION_VALUE", "BOA_QUANTIFICATION_VALUE", "L2A_BOA_QUANTIFICATION_VALUE")
    quantification = number(quantity, "the quantification value", container.path)
    cloud = first_text(root, "Cloud_Coverage_Assessment", "CLOUD_COVERAGE_ASSESSMENT")
    return Product(
        container.path,
        _identifier(root, container),
        tuple(_band(image, 1 / quantification, offsets) for image in images if image.name != CLASSIFICATION),
        first_text(root, "SPACECRAFT_NAME") or "Sentinel-2",
        level,
        moment(first_text(root, "PRODUCT_START_TIME", "DATATAKE_SENSING_START")),
        None if cloud is None else number(cloud, "the cloud cover", container.path),
        _cloud_mask(container, folder) if level == "L1C" else _classification(images),
    )


class _Image(NamedTuple):
    """An image of a granule; `absent` is True if the metadata lists the image, but the product lacks it."""

    name: str
    pixel_m: int
    file: Path
    absent: bool


def _metadata(container: Container) -> tuple[str, Xml.Element]:
    names = sorted((name for name in container.members if _METADATA.fullmatch(name)), key=lambda name: name.count("/"))
    if not names:
        raise RasterError(
            f"{container.path}: lacks the product metadata MTD_MSIL1C.xml or MTD_MSIL2A.xml; name the whole "
            "product, or download it again"
        )
    return names[0], parse_xml(container.read(names[0]), f"{container.path}/{names[0]}")


def _offsets(container: Container, root: Xml.Element) -> dict[str, float]:
    """Offset of each band by name; empty for a product without offsets."""
    baseline = first_text(root, "PROCESSING_BASELINE") or "missing"
    known = re.fullmatch(r"\d\d\.\d\d", baseline) and baseline[:2] in KNOWN_BASELINES
    if not known and baseline != OWN_PROCESSING:
        raise RasterError(
            f"{container.path}: its processing baseline is {baseline}; wanted 02.04 to 05.11, whose scale and offset "
            "are known; update this software, or make the scene from the files of the bands with prepare.py stack"
        )
    names = {
        str(band.get("bandId")): _padded(str(band.get("physicalBand")))
        for band in elements(root, "Spectral_Information")
    } or {str(place): name for place, name in enumerate(COMMON_NAMES)}
    offsets = {
        names.get(str(found.get("band_id")), ""): number(found.text, "an offset", container.path)
        for found in elements(root, "BOA_ADD_OFFSET", "RADIO_ADD_OFFSET")
    }
    if known and not offsets and baseline >= FIRST_WITH_OFFSET:
        raise RasterError(
            f"{container.path}: lists no offset, wanted one for each band, because its processing baseline is "
            f"{baseline}; download the product again"
        )
    return offsets


def _padded(band: str) -> str:
    """Name of a band in file names: "B02" for "B2"."""
    return f"B{band.upper().removeprefix('B').zfill(2)}"


def _images(container: Container, root: Xml.Element, folder: str) -> list[_Image]:
    """Images of the granule, and missing images that the metadata lists; sorted by band, then by pixel size."""
    matches = [(name, match) for name in container.members if (match := _IMAGE.fullmatch(name))]
    inside = [(name, match) for name, match in matches if (match["folder"] or "") == folder]
    granules = sorted({match["granule"] for _, match in inside})
    if len(granules) != 1:
        held = f"holds {len(granules)} granules ({listed(granules)})" if granules else "holds no granule with images"
        remedy = "name a product of one tile" if granules else "download the product again"
        raise RasterError(f"{container.path}: {held}, wanted one in its folder GRANULE; {remedy}")
    found = {_key(match): _Image(*_key(match), container.members[name], absent=False) for name, match in inside}
    for element in elements(root, "IMAGE_FILE", "IMAGE_FILE_2A", "IMAGE_ID", "IMAGE_ID_2A"):
        match = _LISTED.fullmatch(str(element.text or "").strip())
        if match and _key(match) not in found:
            found[_key(match)] = _Image(*_key(match), Path(f"{match.string}.jp2"), absent=True)
    order = {name: place for place, name in enumerate(COMMON_NAMES)}
    return sorted(found.values(), key=lambda image: (order.get(image.name, len(order)), image.pixel_m))


def _key(match: re.Match[str]) -> tuple[str, int]:
    band = match["band"].upper()
    return band, int(match["pixel"] or _PIXELS_M.get(band, 20))


def _band(image: _Image, scale: float, offsets: Mapping[str, float]) -> SourceBand:
    return SourceBand(
        image.name,
        image.file,
        aliases=(f"b{image.name[1:].lstrip('0')}".casefold(), COMMON_NAMES.get(image.name, "")),
        scale=scale,
        offset=offsets.get(image.name, 0.0) * scale,
        nodata=NODATA,
        quantity="reflectance",
        pixel_m=image.pixel_m,
        absent=image.absent,
    )


def _classification(images: Sequence[_Image]) -> QualityBand | None:
    """Scene classification of an L2A product; None if the product lacks it."""
    found = next((image for image in images if image.name == CLASSIFICATION), None)
    if found is None:
        return None
    band = SourceBand(CLASSIFICATION, found.file, pixel_m=found.pixel_m, absent=found.absent)
    return QualityBand(band, "classes", CLOUD_CLASSES)


def _cloud_mask(container: Container, folder: str) -> QualityBand | None:
    """Cloud mask of an L1C product; None if the product lacks it."""
    layers, polygons = (_member(container, folder, pattern) for pattern in (_LAYERS_FILE, _POLYGONS_FILE))
    if layers is not None:
        return QualityBand(SourceBand("MSK_CLASSI", container.members[layers]), "layers", CLOUD_LAYERS, MASK_LAYERS)
    if polygons is not None:
        band, read = SourceBand("MSK_CLOUDS", container.members[polygons]), partial(container.read, polygons)
        return QualityBand(band, "polygons", CLOUD_LAYERS, MASK_POLYGONS, read)
    return None


def _member(container: Container, folder: str, pattern: re.Pattern[str]) -> str | None:
    """File of the product in a folder whose name fits a pattern."""
    matches = (match for name in sorted(container.members) if (match := pattern.fullmatch(name)))
    return next((match.string for match in matches if (match["folder"] or "") == folder), None)


def _identifier(root: Xml.Element, container: Container) -> str:
    uri = first_text(root, "PRODUCT_URI_2A", "PRODUCT_URI", "PRODUCT_URI_1C") or container.path.stem
    return uri.removesuffix(".SAFE")
