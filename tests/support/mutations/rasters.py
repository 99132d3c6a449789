"""Changes to rasters: unusual contents or metadata, and changed TIFF tags."""

import math
import struct
import warnings
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import rasterio
from rasterio import Affine
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp

Profile = dict[str, Any]

DTYPES = ("uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64", "complex64")
SYSTEMS = ("EPSG:4326", "EPSG:32634", "EPSG:3857", "EPSG:4978", "EPSG:3035", "EPSG:2154", "EPSG:4490", "EPSG:4534")
ENGINEERING = 'ENGCRS["local",EDATUM["here"],CS[Cartesian,2],AXIS["x",east],AXIS["y",north],LENGTHUNIT["metre",1]]'
NODATA = (0, 1, 255, 1000, -9999, -3.4e38, math.nan, math.inf, 1e300)
TRANSFORMS = (
    (0, 0, 0, 0, 0, 0),
    (10, 0, 500_000, 0, 10, 5_000_000),
    (-10, 0, 500_000, 0, -10, 5_000_000),
    (10, 3, 500_000, 3, -10, 5_000_000),
    (1e-9, 0, 0, 0, -1e-9, 0),
    (1e12, 0, 0, 0, -1e12, 0),
    (10, 0, 1e300, 0, -10, 0),
    (math.nan, 0, 0, 0, math.nan, 0),
    (math.inf, 0, 0, 0, -10, 0),
    (10, 10, 0, 10, 10, 0),
    (11, 0, 500_000, 0, -11, 5_000_000),
    (10, 0, 500_003, 0, -10, 5_000_000),
    (10, 0, 900_000, 0, -10, 5_000_000),
    (0.0001, 0, 200, 0, -0.0001, 95),
)


def mutate_raster(path: Path, random: Random) -> str:
    """Change the content, a TIFF tag or a sidecar file of a raster; return a description of the change."""
    if path.suffix.lower() == ".tif" and random.random() < 0.25:
        return _change_tag(path, random)
    if random.random() < 0.08:
        return _add_companion(path, random)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with rasterio.open(path) as dataset:
            profile, pixels = dict(dataset.profile), dataset.read()
        content = _Content({"driver": "GTiff"} | {k: profile[k] for k in ("crs", "transform", "nodata")}, pixels, path)
        told = random.choice(CHANGES)(content, random)
        content.write()
    return told


class _Content:
    """New content of a raster."""

    def __init__(self, profile: Profile, pixels: np.ndarray, path: Path) -> None:
        self.profile, self.pixels, self.path = profile, pixels, path
        self.after: Callable[[Any], object] = lambda dataset: None

    def write(self) -> None:
        count, height, width = self.pixels.shape
        shape = {"count": count, "height": height, "width": width, "dtype": self.pixels.dtype.name}
        with rasterio.open(self.path, "w", **(self.profile | shape)) as dataset:
            dataset.colorinterp = [ColorInterp.gray, *[ColorInterp.undefined] * (count - 1)]
            dataset.write(self.pixels)
            self.after(dataset)


def _other_type(content: _Content, random: Random) -> str:
    dtype = random.choice(DTYPES)
    content.profile["nodata"] = None
    with np.errstate(all="ignore"):
        content.pixels = content.pixels.astype(dtype)
    return dtype


def _other_system(content: _Content, random: Random) -> str:
    crs = random.choice([None, ENGINEERING, *SYSTEMS])
    content.profile["crs"] = crs
    return f"CRS {crs}"


def _other_transform(content: _Content, random: Random) -> str:
    transform = random.choice(TRANSFORMS)
    content.profile["transform"] = Affine(*transform)
    return f"transform {transform}"


def _other_nodata(content: _Content, random: Random) -> str:
    nodata = random.choice(NODATA)
    dtype = content.pixels.dtype
    if dtype.kind == "u" and not (math.isfinite(nodata) and 0 <= nodata <= np.iinfo(dtype).max):
        content.pixels = content.pixels.astype("float32")
    content.profile["nodata"] = nodata
    return f"nodata {nodata}"


def _other_size(content: _Content, random: Random) -> str:
    count, height, width = content.pixels.shape
    size = random.choice([(1, 1), (1, width), (height, 1), (height - 1, width), (height + 3, width), (700, 500)])
    content.pixels = np.resize(content.pixels, (count, *(max(1, side) for side in size)))
    return f"size {size}"


def _other_bands(content: _Content, random: Random) -> str:
    bands = random.choice([1, 2, 4, 5, 40])
    content.pixels = np.resize(content.pixels, (bands, *content.pixels.shape[1:]))
    if bands in (2, 4) and random.random() < 0.5:
        last = ColorInterp.alpha
        content.after = lambda dataset: setattr(dataset, "colorinterp", (*dataset.colorinterp[:-1], last))
    return f"{bands} bands"


def _constant(content: _Content, random: Random) -> str:
    value = random.choice([0, 1, 2, 255, 65_535, math.nan, math.inf, -3.4028235e38, 1e30])
    dtype = content.pixels.dtype
    if dtype.kind != "f" and not (math.isfinite(value) and value <= np.iinfo(dtype).max and value >= 0):
        content.pixels = content.pixels.astype("float32")
        content.profile["nodata"] = None
    if random.random() < 0.5:
        content.pixels[:] = value
    else:
        content.pixels[:, ::2, ::3] = value
    return f"pixels of {value}"


def _noise(content: _Content, random: Random) -> str:
    noise = np.random.default_rng(random.randrange(2**32))
    dtype = content.pixels.dtype
    if dtype.kind in "ui":
        content.pixels = noise.integers(0, np.iinfo(dtype).max, content.pixels.shape, dtype=dtype, endpoint=True)
    return "noise"


def _names(content: _Content, random: Random) -> str:
    names = [random.choice(["red", "", "a\nb", "亩", "x" * 400, "B1"]) for _ in content.pixels]
    content.after = lambda dataset: setattr(dataset, "descriptions", tuple(names))
    return f"band names {[name[:9] for name in names]}"


def _scales(content: _Content, random: Random) -> str:
    values = [random.choice([0.0, 1.0, 1e-4, math.nan, math.inf, -1.0]) for _ in content.pixels]
    field = random.choice(["scales", "offsets"])
    content.after = lambda dataset: setattr(dataset, field, tuple(values))
    return f"{field} {values}"


def _points(content: _Content, random: Random) -> str:
    places = random.choice([[(0, 0), (0, 10), (10, 0)], [(0, 0)] * 3, [(1, 1)], [(0, 0), (1, 1), (2, 2)]])
    points = [GroundControlPoint(row, column, 500_000 + column, 5_000_000 - row, 0) for row, column in places]
    content.profile["transform"] = None
    content.after = lambda dataset: setattr(dataset, "gcps", (points, content.profile["crs"]))
    return f"control points {places}"


def _meanings(content: _Content, random: Random) -> str:
    meanings = [random.choice(list(ColorInterp)) for _ in content.pixels]
    content.after = lambda dataset: setattr(dataset, "colorinterp", tuple(meanings))
    return f"meanings {[meaning.name for meaning in meanings]}"


def _storage(content: _Content, random: Random) -> str:
    options: Profile = random.choice(
        [
            {"tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "deflate"},
            {"compress": "lzw", "predictor": 2},
            {"interleave": "pixel", "compress": "zstd"},
            {"BIGTIFF": "YES", "ENDIANNESS": "BIG"},
            {"SPARSE_OK": "TRUE", "tiled": True},
            {"driver": "PNG"},
            {"driver": "JPEG"},
            {"driver": "BMP"},
            {"driver": "ENVI"},
            {"driver": "HFA"},
        ]
    )
    if options.get("driver") in {"PNG", "JPEG", "BMP"}:
        content.pixels = content.pixels.astype("uint8")
        content.pixels = content.pixels[: 3 if len(content.pixels) >= 3 else 1]
        content.profile |= {"nodata": None}
    content.profile |= options
    return f"stored with {options}"


def _tags(content: _Content, random: Random) -> str:
    name = random.choice(["AREA_OR_POINT", "TIFFTAG_SOFTWARE", "x", "cropland_seg"])
    tags = {name: random.choice(["", "Point", "{"])}
    content.after = lambda dataset: dataset.update_tags(**tags)
    return f"tags {tags}"


CHANGES: tuple[Callable[[_Content, Random], str], ...] = (
    _other_type,
    _other_type,
    _other_system,
    _other_transform,
    _other_transform,
    _other_nodata,
    _other_nodata,
    _other_size,
    _other_bands,
    _constant,
    _constant,
    _noise,
    _names,
    _scales,
    _points,
    _meanings,
    _storage,
    _storage,
    _tags,
)


def _change_tag(path: Path, random: Random) -> str:
    """Overwrite a field of an entry in the first directory of a TIFF."""
    content = bytearray(path.read_bytes())
    order = "<" if content[:2] == b"II" else ">"
    start, size = 0, len(content)
    if size > 8 and struct.unpack_from(order + "H", content, 2)[0] == 42:
        start = struct.unpack_from(order + "I", content, 4)[0]
    if not 8 <= start < size - 14:
        return "not a TIFF"
    entries = struct.unpack_from(order + "H", content, start)[0]
    at = start + 2 + 12 * random.randrange(max(1, min(entries, (size - start) // 12 - 1)))
    tag = struct.unpack_from(order + "H", content, at)[0]
    offset, form = random.choice([(0, "H"), (2, "H"), (4, "I"), (8, "I"), (8, "I"), (8, "H")])
    value = random.choice([0, 1, 2, 3, 7, 16, 255, 4096, 60_000, 2**31 - 1, 2**32 - 1])
    struct.pack_into(order + form, content, at + offset, value & (0xFFFF if form == "H" else 0xFFFFFFFF))
    path.write_bytes(content)
    return f"byte {offset} of tag {tag} is now {value}"


def _add_companion(path: Path, random: Random) -> str:
    """Add a sidecar file that GDAL reads with the raster."""
    suffix, text = random.choice(
        [
            (".aux.xml", "<PAMDataset><SRS>EPSG:0</SRS></PAMDataset>"),
            (".aux.xml", "<PAMDataset><GeoTransform>nan, 0, 0, 0, 0, 0</GeoTransform></PAMDataset>"),
            (".aux.xml", "<PAMData"),
            (
                ".aux.xml",
                '<PAMDataset><PAMRasterBand band="1"><NoDataValue>x</NoDataValue></PAMRasterBand></PAM>',
            ),
            (".msk", "not a mask"),
            (".ovr", "not an overview"),
        ]
    )
    path.with_name(path.name + suffix).write_text(text)
    return f"beside it {suffix}: {text}"
