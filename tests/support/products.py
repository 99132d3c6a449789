"""Small products in the layout of their providers, with the metadata fields that the readers use."""

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin

LEFT, TOP = 600_000, 5_000_040
PIXELS_M = {"B02": 10, "B03": 10, "B04": 10, "B08": 10, "B05": 20, "B8A": 20, "B11": 20, "B01": 60}
BAND_IDS = ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B10", "B11", "B12")
TILE = "T32UNE_20240511T103031"


@dataclass
class Safe:
    """Contents of a Sentinel-2 product.

    Attributes:
        level: "L1C" or "L2A".
        baseline: Processing baseline.
        offset: Offset of all bands; None to leave the list out.
        offsets: Offsets of single bands that differ, by physical name such as "B4".
        bands: Bands to write.
        size: Rows and columns at 10 m; pixels of larger bands reach beyond odd sizes.
        scl: Scene classification at 20 m; drawn if None.
        absent: Bands that the metadata lists, but that have no file.
    """

    level: str = "L2A"
    baseline: str = "05.11"
    offset: int | None = -1000
    offsets: Mapping[str, int] = field(default_factory=dict)
    bands: Sequence[str] = ("B02", "B04", "B08", "B8A", "B11")
    size: tuple[int, int] = (60, 48)
    scl: np.ndarray | None = None
    absent: Sequence[str] = ()


def write_jp2(path: Path, pixels: np.ndarray, pixel_m: int) -> None:
    """Write a lossless JPEG 2000 file of one band in UTM zone 32N, without a nodata value, as in real products."""
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {"driver": "JP2OpenJPEG", "count": 1, "dtype": pixels.dtype, "crs": "EPSG:32632"}
    shape = {"height": pixels.shape[0], "width": pixels.shape[1], "QUALITY": "100", "REVERSIBLE": "YES"}
    with rasterio.open(path, "w", **profile, **shape, transform=from_origin(LEFT, TOP, pixel_m, pixel_m)) as dataset:
        dataset.write(pixels, 1)


def write_safe(folder: Path, safe: Safe | None = None, zipped: bool = False) -> tuple[Path, dict[str, np.ndarray]]:
    """Write a product; return its path and the stored numbers of each band.

    Args:
        folder: Folder for the product.
        safe: Contents.
        zipped: Pack the product into a .zip and return the path of the archive.
    """
    safe = safe or Safe()
    name = f"S2B_MSI{safe.level}_20240511T103031_N{safe.baseline.replace('.', '')}_R108_T32UNE_20240511T134500"
    root = folder / f"{name}.SAFE"
    granule = f"GRANULE/{safe.level}_T32UNE_A037512_20240511T103029"
    pixels, listed = {}, []
    random = np.random.default_rng(len(safe.bands))
    for band in [*safe.bands, *(["SCL"] if safe.level == "L2A" else [])]:
        pixel_m = PIXELS_M.get(band, 20)
        shape = tuple(-(-side * 10 // pixel_m) for side in safe.size)
        if band == "SCL":
            values = random.choice([2, 4, 5, 6, 7, 11], shape) if safe.scl is None else safe.scl
            pixels[band] = values.astype(np.uint8)
        else:
            pixels[band] = random.integers(1, 12_000, shape).astype(np.uint16)
            pixels[band][:, : max(60 // pixel_m, 1)] = 0
        folder_name = f"IMG_DATA/R{pixel_m}m" if safe.level == "L2A" else "IMG_DATA"
        suffix = f"_{pixel_m}m" if safe.level == "L2A" else ""
        listed.append(f"{granule}/{folder_name}/{TILE}_{band}{suffix}")
        if band not in safe.absent:
            write_jp2(root / f"{listed[-1]}.jp2", pixels[band], pixel_m)
    root.mkdir(parents=True, exist_ok=True)
    (root / f"MTD_MSI{safe.level}.xml").write_text(_metadata(safe, name, listed), encoding="utf-8")
    if not zipped:
        return root, pixels
    archive = folder / f"{name}.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for file in sorted(root.rglob("*")):
            packed.write(file, file.relative_to(folder))
    return archive, pixels


def _metadata(safe: Safe, name: str, listed: Sequence[str]) -> str:
    surface = safe.level == "L2A"
    images = "".join(f"<IMAGE_FILE>{image}</IMAGE_FILE>" for image in listed)
    quantification = (
        '<QUANTIFICATION_VALUES_LIST><BOA_QUANTIFICATION_VALUE unit="none">10000</BOA_QUANTIFICATION_VALUE>'
        '<AOT_QUANTIFICATION_VALUE unit="none">1000.0</AOT_QUANTIFICATION_VALUE></QUANTIFICATION_VALUES_LIST>'
        if surface
        else '<QUANTIFICATION_VALUE unit="none">10000</QUANTIFICATION_VALUE>'
    )
    tag = "BOA_ADD_OFFSET" if surface else "RADIO_ADD_OFFSET"
    offsets = "".join(
        f'<{tag} band_id="{place}">{safe.offsets.get(band, safe.offset)}</{tag}>' for place, band in enumerate(BAND_IDS)
    )
    offset_list = "" if safe.offset is None else f"<{tag}_VALUES_LIST>{offsets}</{tag}_VALUES_LIST>"
    spectral = "".join(
        f'<Spectral_Information bandId="{place}" physicalBand="{band}"><RESOLUTION>10</RESOLUTION>'
        "</Spectral_Information>"
        for place, band in enumerate(BAND_IDS)
    )
    kind = safe.level[1:]
    return f"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:Level-{kind}_User_Product
  xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_Level-{kind}.xsd">
<n1:General_Info><Product_Info>
<PRODUCT_START_TIME>2024-05-11T10:30:31.024Z</PRODUCT_START_TIME>
<PRODUCT_URI>{name}.SAFE</PRODUCT_URI><PROCESSING_LEVEL>Level-{kind}</PROCESSING_LEVEL>
<PROCESSING_BASELINE>{safe.baseline}</PROCESSING_BASELINE>
<Datatake datatakeIdentifier="GS2B"><SPACECRAFT_NAME>Sentinel-2B</SPACECRAFT_NAME></Datatake>
<Product_Organisation><Granule_List><Granule>{images}</Granule></Granule_List></Product_Organisation>
</Product_Info><Product_Image_Characteristics>
<Special_Values><SPECIAL_VALUE_TEXT>NODATA</SPECIAL_VALUE_TEXT><SPECIAL_VALUE_INDEX>0</SPECIAL_VALUE_INDEX>
</Special_Values>{quantification}{offset_list}
<Spectral_Information_List>{spectral}</Spectral_Information_List>
</Product_Image_Characteristics></n1:General_Info>
<n1:Quality_Indicators_Info><Cloud_Coverage_Assessment>12.5</Cloud_Coverage_Assessment>
</n1:Quality_Indicators_Info></n1:Level-{kind}_User_Product>"""
