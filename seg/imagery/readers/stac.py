"""STAC items and item collections, from a file or an address, as products.

Scale and offset: the raster extension (https://github.com/stac-extensions/raster), in `raster:bands` until STAC 1.0 and
in `bands` since STAC 1.1; CRS and transform: the projection extension (https://github.com/stac-extensions/projection).
"""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rasterio import Affine
from rasterio.crs import CRS
from rasterio.errors import CRSError

from seg.errors import RasterError
from seg.files import LONGEST
from seg.imagery.product import Product, QualityBand, Quantity, SourceBand
from seg.imagery.readers.container import LARGEST_METADATA
from seg.imagery.readers.landsat import CLOUD_BITS
from seg.imagery.readers.metadata import moment
from seg.imagery.readers.sentinel2 import CLOUD_CLASSES, FIRST_WITH_OFFSET, NODATA
from seg.raster.folder import RASTER_SUFFIXES
from seg.raster.remote import gdal_name, is_remote, shown_name
from seg.raster.writing.geotiff import Georeference

if TYPE_CHECKING:
    import pystac

SUFFIXES = (".json", ".geojson")
"""Suffixes of files with items."""

TIMEOUT_S = 60.0
"""Longest wait for a server that sends an item, in seconds."""

OFFSET_APPLIED = "earthsearch:boa_offset_applied"
"""Property of items whose pixels already include the offset that `raster:bands` states:
https://github.com/Element84/earth-search/issues/66."""

BASELINE = "s2:processing_baseline"
"""Property of Sentinel-2 items: their processing baseline. The Planetary Computer states no scale, but its pixels hold
the same numbers as ESA's products:
https://github.com/microsoft/PlanetaryComputer/issues/134."""

_API_ITEM = re.compile(r"/collections/[^/]+/items/[^/]+/?$")
"""Address of an item: https://github.com/radiantearth/stac-api-spec."""

_SENTINEL_BAND = re.compile(r"B(0[1-9]|1[0-2]|8A)", re.IGNORECASE)

_IMAGE_TYPES = ("image/tiff", "image/jp2", "image/vnd.stac.geotiff", "application/x-geotiff")

_NO_IMAGE_ROLES = {"thumbnail", "overview", "metadata", "visual"}

_NEAR_INFRARED = {"nir08": "nir"}
"""Second name of Landsat's near infrared, so that one list of names fits Landsat and Sentinel-2."""

Fields = Mapping[str, object]


def is_stac(path: Path) -> bool:
    """True if a path looks like an item: a .json or .geojson file, or the address of an item of a STAC API."""
    address = path.as_posix().partition("?")[0]
    if Path(address).suffix.lower() in SUFFIXES:
        return True
    return _API_ITEM.search(address) is not None and is_remote(path)


def read_stac(path: Path) -> list[Product]:
    """Products of an item, or of all items of a collection of items; no image is opened.

    Raises:
        RasterError: The file or address cannot be read or is not an item, or an item lists no image.
    """
    import pystac

    source = _address(path)
    document = _document(path, source)
    kind = document.get("type")
    features = document.get("features") if kind == "FeatureCollection" else [document] if kind == "Feature" else None
    if not isinstance(features, list) or not features:
        raise RasterError(
            f"{shown_name(path)}: is neither a STAC item nor a collection of items (its type is {kind}); name the item "
            "that lists the files, or download the answer of a search as a file"
        )
    try:
        items = [pystac.Item.from_dict(feature, href=source) for feature in features]
    except (pystac.STACError, pystac.STACTypeError, KeyError, TypeError, ValueError, AttributeError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:LONGEST]
        raise RasterError(f"{shown_name(path)}: not a valid STAC item ({reason}); download it again") from error
    return [_product(path, item) for item in items]


def _address(path: Path) -> str:
    return gdal_name(path).removeprefix("/vsicurl/") if is_remote(path) else str(path.absolute())


def _document(path: Path, source: str) -> dict[str, object]:
    try:
        if is_remote(path):
            with urllib.request.urlopen(source, timeout=TIMEOUT_S) as answer:
                content = answer.read(LARGEST_METADATA)
        else:
            content = path.read_bytes()
        document = json.loads(content)
    except (OSError, ValueError, RecursionError, urllib.error.URLError) as error:
        reason = " ".join(str(error).split())[:LONGEST]
        raise RasterError(
            f"{shown_name(path)}: cannot be read as a STAC item ({reason}); check the name, or the "
            "address and access to it"
        ) from error
    if not isinstance(document, dict):
        raise RasterError(f"{shown_name(path)}: holds no JSON object, wanted a STAC item")
    return document


def _product(path: Path, item: "pystac.Item") -> Product:
    bands = [band for key, asset in item.assets.items() if _is_image(asset) for band in _bands(item, key, asset)]
    if not bands:
        raise RasterError(
            f"{shown_name(path)}: the item {item.id} lists no file with an image among its {len(item.assets)} assets; "
            "name an item that lists images"
        )
    properties = item.properties
    cloud = properties.get("eo:cloud_cover")
    return Product(
        path,
        item.id,
        tuple(bands),
        str(properties.get("platform") or properties.get("constellation") or "").title(),
        str(properties.get("processing:level") or ""),
        moment(str(properties.get("datetime") or properties.get("start_datetime") or "")),
        float(cloud) if isinstance(cloud, int | float) else None,
        _quality(bands),
    )


def _is_image(asset: "pystac.Asset") -> bool:
    kind = str(asset.media_type or "").partition(";")[0].strip().lower()
    suffix = Path(asset.href.partition("?")[0]).suffix.lower()
    return not _NO_IMAGE_ROLES & set(asset.roles or ()) and (
        kind in _IMAGE_TYPES or (not kind and suffix in RASTER_SUFFIXES)
    )


def _bands(item: "pystac.Item", key: str, asset: "pystac.Asset") -> Iterator[SourceBand]:
    """Bands of an asset. A band that measures no light is extra, such as a classification, an angle or water vapour."""
    fields, href = asset.extra_fields, str(asset.get_absolute_href() or asset.href)
    described = _band_fields(fields)
    for index, band in enumerate(described, start=1):
        name = str(band.get("name") or band.get("description") or "")
        common = str(band.get("eo:common_name") or band.get("common_name") or "")
        quantity, scale, offset = _calibration(item, key, {**fields, **band}, common)
        known_product = BASELINE in item.properties and quantity == "reflectance"
        yield SourceBand(
            key if len(described) == 1 else name or f"{key}_{index}",
            Path(href.removeprefix("file://")),
            index,
            aliases=tuple(text.casefold() for text in (key, name, common, _NEAR_INFRARED.get(common, "")) if text),
            scale=scale,
            offset=offset,
            nodata=_real(band.get("nodata", fields.get("nodata", NODATA if known_product else None))),
            quantity=quantity,
            pixel_m=_pixel_m(fields, band),
            georeference=_georeference(item, fields),
            extra=not common and quantity == "stored",
        )


def _band_fields(fields: Fields) -> list[dict[str, object]]:
    """Fields of each band of an asset, joined from all its lists of bands; one empty band without a list."""
    lists = [fields.get(name) for name in ("eo:bands", "raster:bands", "bands")]
    found = [[band for band in bands if isinstance(band, dict)] for bands in lists if isinstance(bands, list) and bands]
    count = max(map(len, found), default=1)
    joined: list[dict[str, object]] = [{} for _ in range(count)]
    for bands in found:
        for whole, band in zip(joined, bands, strict=False):
            whole.update(band)
    return joined


def _calibration(item: "pystac.Item", key: str, band: Fields, common: str) -> tuple[Quantity, float, float]:
    """Quantity, scale and offset of a band."""
    scale, offset = (_real(band.get(f"raster:{what}", band.get(what))) for what in ("scale", "offset"))
    baseline = item.properties.get(BASELINE)
    if scale is None and isinstance(baseline, str) and _SENTINEL_BAND.fullmatch(key):
        return "reflectance", 1e-4, -0.1 if baseline >= FIRST_WITH_OFFSET else 0.0
    if scale is None:
        return "stored", 1.0, 0.0
    if item.properties.get(OFFSET_APPLIED) is True:
        offset = 0.0
    if common.startswith("lwir"):
        return "temperature", scale, offset or 0.0
    return "reflectance" if common else "stored", scale, offset or 0.0


def _real(value: object) -> float | None:
    """A number of an item; None for a missing one. STAC writes NaN and infinity as texts."""
    try:
        return float(value) if isinstance(value, int | float | str) else None
    except ValueError:
        return None


def _pixel_m(fields: Fields, band: Fields) -> float | None:
    named = (band.get("raster:spatial_resolution", band.get("spatial_resolution")), fields.get("gsd"))
    return next((size for size in map(_real, named) if size is not None), None)


def _georeference(item: "pystac.Item", fields: Fields) -> Georeference | None:
    """CRS and transform of an asset from the projection extension; None if one of them is missing or not readable."""
    joined = {**item.properties, **fields}
    transform = joined.get("proj:transform")
    code = joined.get("proj:code") or (f"EPSG:{joined['proj:epsg']}" if joined.get("proj:epsg") else None)
    wkt = joined.get("proj:wkt2")
    if not isinstance(transform, list) or len(transform) < 6 or not (code or wkt):
        return None
    try:
        return Georeference(CRS.from_user_input(str(code or wkt)), Affine(*map(float, transform[:6])))
    except (CRSError, TypeError, ValueError):
        return None


def _quality(bands: Sequence[SourceBand]) -> QualityBand | None:
    """The band whose asset name marks it as the quality band; None if there is none."""
    for band in bands:
        if band.is_named("scl") or band.name.casefold().startswith("scl_"):
            return QualityBand(band, "classes", CLOUD_CLASSES)
        if band.is_named("qa_pixel"):
            return QualityBand(band, "bits", CLOUD_BITS)
    return None
