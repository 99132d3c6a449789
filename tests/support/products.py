"""Small products in the layout of their providers, with the metadata fields that the readers use."""

import json
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import rasterio
from rasterio.features import shapes
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
        clouds: Classes of the cloud mask of an L1C product at 60 m: 1 opaque cloud, 2 cirrus, 3 snow; None for a
            product without the mask.
    """

    level: str = "L2A"
    baseline: str = "05.11"
    offset: int | None = -1000
    offsets: Mapping[str, int] = field(default_factory=dict)
    bands: Sequence[str] = ("B02", "B04", "B08", "B8A", "B11")
    size: tuple[int, int] = (60, 48)
    scl: np.ndarray | None = None
    absent: Sequence[str] = ()
    clouds: np.ndarray | None = None


def write_jp2(path: Path, pixels: np.ndarray, pixel_m: int) -> None:
    """Write (H, W) or (C, H, W) pixels as lossless JPEG 2000 in UTM zone 32N, without nodata, as in real products."""
    path.parent.mkdir(parents=True, exist_ok=True)
    bands = pixels if pixels.ndim == 3 else pixels[None]
    profile = {"driver": "JP2OpenJPEG", "count": len(bands), "dtype": pixels.dtype, "crs": "EPSG:32632"}
    shape = {"height": bands.shape[1], "width": bands.shape[2], "QUALITY": "100", "REVERSIBLE": "YES"}
    with rasterio.open(path, "w", **profile, **shape, transform=from_origin(LEFT, TOP, pixel_m, pixel_m)) as dataset:
        dataset.write(bands)


def _write_clouds(folder: Path, clouds: np.ndarray, baseline: str) -> None:
    """Write the cloud mask of an L1C product: polygons along the edges of pixels, or since 04.00 a raster of layers."""
    if baseline >= "04.00":
        write_jp2(folder / "MSK_CLASSI_B00.jp2", np.stack([clouds == kind for kind in (1, 2, 3)]).astype(np.uint8), 60)
        return
    features = "".join(
        f'<eop:MaskFeature gml:id="{name}.{number}"><eop:maskType codeSpace="urn:gs2:S2PDGS:maskType">{name}'
        f'</eop:maskType><eop:extentOf><gml:Polygon gml:id="{name}.{number}_Polygon">{_rings(polygon)}</gml:Polygon>'
        "</eop:extentOf></eop:MaskFeature>"
        for kind, name in ((1, "OPAQUE"), (2, "CIRRUS"))
        for number, (polygon, _) in enumerate(
            shapes(clouds, mask=clouds == kind, transform=from_origin(LEFT, TOP, 60, 60))
        )
    )
    envelope = '<gml:boundedBy><gml:Envelope srsName="urn:ogc:def:crs:EPSG:8.7:32632"/></gml:boundedBy>'
    members = f"{envelope}<eop:maskMembers>{features}</eop:maskMembers>" if features else ""
    folder.mkdir(parents=True)
    (folder / "MSK_CLOUDS_B00.gml").write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n<eop:Mask xmlns:eop="http://www.opengis.net/eop/2.0" '
        f'xmlns:gml="http://www.opengis.net/gml/3.2" gml:id="S2B_OPER_MSK_CLOUDS_B00_MSIL1C">{members}</eop:Mask>',
        encoding="utf-8",
    )


def _rings(polygon: Mapping[str, Sequence[Sequence[tuple[float, float]]]]) -> str:
    """GML of the rings of a polygon; the first ring is the outer one."""
    return "".join(
        f'<gml:{side}><gml:LinearRing><gml:posList srsDimension="2">'
        f"{' '.join(f'{value:.0f}' for point in ring for value in point)}</gml:posList></gml:LinearRing></gml:{side}>"
        for ring, side in zip(
            polygon["coordinates"], ["exterior", *["interior"] * (len(polygon["coordinates"]) - 1)], strict=True
        )
    )


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
    if safe.clouds is not None:
        _write_clouds(root / granule / "QI_DATA", safe.clouds, safe.baseline)
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


@dataclass
class Landsat:
    """Contents of a Landsat product.

    Attributes:
        level: "L2SP" or "L1TP".
        form: Suffix of the metadata: "txt", "json" or "xml".
        bands: Numbers of the bands of reflectance.
        quality: QA_PIXEL; clear land if None.
        size: Rows and columns.
        sun: Sun elevation in degrees.
    """

    level: str = "L2SP"
    form: str = "txt"
    bands: Sequence[int] = (2, 3, 4, 5)
    quality: np.ndarray | None = None
    size: tuple[int, int] = (23, 31)
    sun: float = 40.0


def write_landsat(
    folder: Path, landsat: Landsat | None = None, packed: bool = False
) -> tuple[Path, dict[str, np.ndarray]]:
    """Write a product of Collection 2; return its path and the stored numbers of each band.

    Args:
        folder: Folder for the product.
        landsat: Contents.
        packed: Pack the product into a .tar and return the path of the archive.
    """
    landsat = landsat or Landsat()
    name = f"LC08_{landsat.level}_224078_20240518_20240528_02_T1"
    root = folder / name
    root.mkdir(parents=True)
    surface = landsat.level == "L2SP"
    prefix = "_SR" if surface else ""
    files = {f"FILE_NAME_BAND_{band}": f"{name}{prefix}_B{band}.TIF" for band in landsat.bands}
    if surface:
        files["FILE_NAME_BAND_ST_B10"] = f"{name}_ST_B10.TIF"
    files["FILE_NAME_QUALITY_L1_PIXEL"] = f"{name}_QA_PIXEL.TIF"
    random, pixels = np.random.default_rng(8), {}
    for key, file in files.items():
        values = random.integers(1, 65_535, landsat.size).astype(np.uint16)
        if key.endswith("PIXEL"):
            values = np.full(landsat.size, 1 << 6, np.uint16) if landsat.quality is None else landsat.quality
        else:
            values[:3] = 0
        pixels[key.removeprefix("FILE_NAME_").removeprefix("BAND_")] = values
        profile = {"driver": "GTiff", "count": 1, "dtype": "uint16", "crs": "EPSG:32621", "compress": "deflate"}
        shape = {"height": values.shape[0], "width": values.shape[1]}
        with rasterio.open(root / file, "w", **profile, **shape, transform=from_origin(LEFT, TOP, 30, 30)) as dataset:
            dataset.write(values, 1)
    text = _landsat_metadata(landsat, name, files)
    (root / f"{name}_MTL.{landsat.form}").write_text(text, encoding="utf-8")
    if not packed:
        return root, pixels
    archive = folder / f"{name}.tar"
    with tarfile.open(archive, "w") as written:
        for file in sorted(root.iterdir()):
            written.add(file, file.name)
    return archive, pixels


def _landsat_metadata(landsat: Landsat, name: str, files: Mapping[str, str]) -> str:
    contents = {"LANDSAT_PRODUCT_ID": name, "PROCESSING_LEVEL": landsat.level, "COLLECTION_NUMBER": "02", **files}
    attributes = {
        "SPACECRAFT_ID": "LANDSAT_8",
        "SENSOR_ID": "OLI_TIRS",
        "DATE_ACQUIRED": "2024-05-18",
        "SCENE_CENTER_TIME": "13:33:41.8531890Z",
        "CLOUD_COVER": "7.25",
        "SUN_ELEVATION": str(landsat.sun),
    }
    level_1 = {
        f"REFLECTANCE_{what}_BAND_{band}": value
        for band in landsat.bands
        for what, value in (("MULT", "2.0000E-05"), ("ADD", "-0.100000"))
    }
    groups: dict[str, Mapping[str, str]] = {"PRODUCT_CONTENTS": contents, "IMAGE_ATTRIBUTES": attributes}
    if landsat.level == "L2SP":
        groups["LEVEL2_SURFACE_REFLECTANCE_PARAMETERS"] = {
            f"REFLECTANCE_{what}_BAND_{band}": value
            for band in landsat.bands
            for what, value in (("MULT", "2.75e-05"), ("ADD", "-0.2"))
        }
        temperature = {"TEMPERATURE_MULT_BAND_ST_B10": "0.00341802", "TEMPERATURE_ADD_BAND_ST_B10": "149.0"}
        groups["LEVEL2_SURFACE_TEMPERATURE_PARAMETERS"] = temperature
        # A product of level 2 repeats the metadata of level 1, with names that occur in both.
        groups["LEVEL1_PROCESSING_RECORD"] = {"PROCESSING_LEVEL": "L1TP", "FILE_NAME_BAND_2": "absent_B2.TIF"}
    groups["LEVEL1_RADIOMETRIC_RESCALING"] = level_1
    if landsat.form == "json":
        return json.dumps({"LANDSAT_METADATA_FILE": groups})
    if landsat.form == "xml":
        body = "".join(
            f"<{group}>{''.join(f'<{key}>{value}</{key}>' for key, value in values.items())}</{group}>"
            for group, values in groups.items()
        )
        return f'<?xml version="1.0" encoding="UTF-8"?><LANDSAT_METADATA_FILE>{body}</LANDSAT_METADATA_FILE>'
    lines = ["GROUP = LANDSAT_METADATA_FILE"]
    for group, values in groups.items():
        lines += [f"  GROUP = {group}", *(f'    {key} = "{value}"' for key, value in values.items())]
        lines.append(f"  END_GROUP = {group}")
    return "\n".join([*lines, "END_GROUP = LANDSAT_METADATA_FILE", "END"])
