"""Landsat Collection 2 products (levels 1 and 2) as a folder or a TAR archive.

Files and metadata follow the data format control books LSDS-1822 (level 1) and LSDS-1618 and LSDS-1619 (level 2):
https://www.usgs.gov/landsat-missions/landsat-collection-2.
"""

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path

from seg.errors import RasterError
from seg.imagery.product import Product, QualityBand, Quantity, SourceBand
from seg.imagery.readers.container import Container, inner_folder
from seg.imagery.readers.metadata import local_name, moment, number, parse_xml

OLI = ("coastal", "blue", "green", "red", "nir08", "swir16", "swir22", "pan", "cirrus", "lwir11", "lwir12")
"""Common names of bands 1 to 11 of Landsat 8 and 9."""

TM = ("blue", "green", "red", "nir08", "swir16", "lwir", "swir22", "pan")
"""Common names of bands 1 to 8 of Landsat 4 to 7."""

CLOUD_BITS = (1, 2, 3, 4)
"""Masked bits of QA_PIXEL: dilated cloud, cirrus with high confidence, cloud, cloud shadow."""

NODATA = 0
"""Stored value of pixels without data in all bands."""

Groups = Mapping[str, Mapping[str, str]]
"""Values of the metadata by group and name."""

_METADATA = re.compile(r"(.*/)?L[A-Z]\d\d_L\w+_MTL\.(json|xml|txt)", re.IGNORECASE)


def is_landsat(container: Container) -> bool:
    """True if a folder or archive holds the metadata of a Landsat product."""
    return any(_METADATA.fullmatch(name) for name in container.members)


def read_landsat(container: Container) -> Product:
    """Read the metadata of a Landsat product; no image is opened.

    Level 2: reflectance or temperature = stored value * MULT + ADD. Level 1: reflectance = (stored value * MULT + ADD)
    / sin(sun elevation). Thermal bands of level 1 are left out, since radiance is not proportional to temperature.

    Raises:
        RasterError: The metadata is damaged, of another collection, or of several products.
    """
    names = sorted(name for name in container.members if _METADATA.fullmatch(name))
    if len({name.rpartition(".")[0] for name in names}) != 1:
        raise RasterError(f"{container.path}: holds {len(names)} Landsat products; name the folder of one product")
    name = names[0]
    groups = _groups(container.read(name), name, container.path)
    contents, attributes = groups.get("PRODUCT_CONTENTS", {}), groups.get("IMAGE_ATTRIBUTES", {})
    collection = contents.get("COLLECTION_NUMBER", "missing")
    if collection.lstrip("0") != "2":
        raise RasterError(
            f"{container.path}: its collection number is {collection}; wanted 02; download the product of Collection 2"
        )
    cloud = attributes.get("CLOUD_COVER", "-1")
    share = number(cloud, "CLOUD_COVER", container.path)
    return Product(
        container.path,
        contents.get("LANDSAT_PRODUCT_ID", container.path.stem),
        tuple(_bands(container, groups, inner_folder(name))),
        attributes.get("SPACECRAFT_ID", "Landsat").replace("_", " ").title(),
        contents.get("PROCESSING_LEVEL", ""),
        moment(f"{attributes.get('DATE_ACQUIRED', '')}T{attributes.get('SCENE_CENTER_TIME', '')}"),
        share if share >= 0 else None,
        _quality(container, contents, inner_folder(name)),
    )


def _groups(content: bytes, name: str, path: Path) -> Groups:
    source = f"{path}/{name}"
    if name.lower().endswith(".xml"):
        root = parse_xml(content, source)
        return {local_name(group): {local_name(e): str(e.text or "").strip() for e in group} for group in root}
    try:
        text = content.decode("utf-8")
        return _json_groups(text) if name.lower().endswith(".json") else _text_groups(text)
    except (ValueError, AttributeError, RecursionError) as error:
        raise RasterError(
            f"{source}: not readable as metadata of Landsat ({error}); download the product again"
        ) from error


def _json_groups(text: str) -> Groups:
    root = json.loads(text)["LANDSAT_METADATA_FILE"]
    return {group: {key: str(value) for key, value in values.items()} for group, values in root.items()}


def _text_groups(text: str) -> Groups:
    groups: dict[str, dict[str, str]] = {}
    group = ""
    for line in text.splitlines():
        key, _, value = (part.strip() for part in line.partition("="))
        if key == "GROUP":
            group = value
        elif value and key != "END_GROUP":
            groups.setdefault(group, {})[key] = value.strip('"')
    return groups


def _bands(container: Container, groups: Groups, folder: str) -> list[SourceBand]:
    """Bands of reflectance, then of temperature, in the order of the metadata."""
    contents, found = groups.get("PRODUCT_CONTENTS", {}), []
    for kind, group, divisor in _calibrations(container, groups):
        factors = groups.get(group, {})
        for key, file in contents.items():
            band = key.removeprefix("FILE_NAME_BAND_")
            if band == key or f"{kind}_MULT_BAND_{band}" not in factors:
                continue
            names = (f"{kind}_{what}_BAND_{band}" for what in ("MULT", "ADD"))
            scale, offset = (number(factors.get(name), name, container.path) / divisor for name in names)
            quantity: Quantity = "reflectance" if kind == "REFLECTANCE" else "temperature"
            aliases = _aliases(band, groups.get("IMAGE_ATTRIBUTES", {}).get("SENSOR_ID", ""))
            member = container.members.get(folder + file)
            found.append(
                SourceBand(
                    band if band.startswith("ST_") else f"B{band}",
                    member or Path(file),
                    aliases=aliases,
                    scale=scale,
                    offset=offset,
                    nodata=NODATA,
                    quantity=quantity,
                    absent=member is None,
                    extra=quantity == "temperature" or "pan" in aliases,
                )
            )
    return found


def _calibrations(container: Container, groups: Groups) -> list[tuple[str, str, float]]:
    """For each measured quantity: its name, the metadata group with its factors, and the divisor of the result."""
    if "LEVEL2_SURFACE_REFLECTANCE_PARAMETERS" in groups:
        return [
            ("REFLECTANCE", "LEVEL2_SURFACE_REFLECTANCE_PARAMETERS", 1.0),
            ("TEMPERATURE", "LEVEL2_SURFACE_TEMPERATURE_PARAMETERS", 1.0),
        ]
    elevation = number(groups.get("IMAGE_ATTRIBUTES", {}).get("SUN_ELEVATION"), "SUN_ELEVATION", container.path)
    if not 0 < elevation <= 90:
        raise RasterError(f"{container.path}: its sun elevation is {elevation:g} degrees, wanted a scene taken by day")
    return [("REFLECTANCE", "LEVEL1_RADIOMETRIC_RESCALING", math.sin(math.radians(elevation)))]


def _aliases(band: str, sensor: str) -> tuple[str, ...]:
    """Other names of a band "4" or "ST_B10", in lower case."""
    digits = band.rpartition("B")[2]
    names = OLI if sensor.startswith(("OLI", "TIRS")) else TM if sensor in ("TM", "ETM") else ()
    place = int(digits) if digits.isdecimal() else 0
    common = names[place - 1] if 1 <= place <= len(names) else ""
    near_infrared = ("nir",) if common == "nir08" else ()
    surface = () if band.startswith("ST_") else (f"sr_b{digits}".lower(), f"b{digits.zfill(2)}".lower())
    return (common, *near_infrared, *surface)


def _quality(container: Container, contents: Mapping[str, str], folder: str) -> QualityBand | None:
    file = contents.get("FILE_NAME_QUALITY_L1_PIXEL")
    if file is None:
        return None
    member = container.members.get(folder + file)
    return QualityBand(SourceBand("QA_PIXEL", member or Path(file), absent=member is None), "bits", CLOUD_BITS)
