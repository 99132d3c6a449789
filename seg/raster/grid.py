"""Grid of a raster file (path, CRS, transform, size, bands, nodata), and checks of its metadata."""

import math
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal
from xml.sax.saxutils import unescape

import rasterio
from rasterio import Affine
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioIOError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from seg.errors import RasterError
from seg.files import require_utf8_name
from seg.raster.ground.crs import crs_names, has_place, same_crs
from seg.raster.remote import gdal_name, is_remote, settings_to_open, shown_name

# A raster without a georeference is valid input, so rasterio's warning about it is not shown.
warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)

MOST_PIXELS = 10**13
"""Largest accepted raster, in pixels: 3,000 km by 3,000 km at 1 m. A file that declares more pixels is damaged."""

LEAST_PIXEL_AREA = 1e-24
"""Smallest accepted pixel area, in squared CRS units. Even a pixel of one micrometre, 1e-11 degrees at the equator, has
a larger area."""

FEW_SOURCES = 200
"""If a mosaic has at most this number of source files, all files are opened as a check; opening a file takes 0.3 ms."""

_SNIFFED = 4096
"""Number of bytes at the start of a file that are searched for the root element of a VRT."""

_EQUATOR_RADIUS_M = 6_378_137.0
_ECCENTRICITY_SQUARED = 0.00669437999
"""Radius and squared eccentricity of the WGS 84 ellipsoid; other datums differ by less than a thousandth."""


@dataclass(frozen=True)
class Grid:
    """Georeference, size, bands and data type of a raster.

    Attributes:
        path: The file that the grid was read from.
        height: Rows in pixels.
        width: Columns in pixels.
        bands: Number of bands.
        crs: Coordinate reference system; None if the file has none.
        transform: Pixel-to-CRS affine.
        nodata: Stored value that means "no data", or None.
        dtype: Name of the first band's data type, for example "uint16".
        alpha: Bands that are tagged as alpha, counted from 1.
        rectified: False if only ground control points or a camera model (RPC) georeference the file; `transform` then
            has no meaning.
        band_names: Description of each band, "" for a band without a description; () if no band has a description.
        scaling: Scale and offset of each band: measured value = stored value * scale + offset; () if no band has a
            scale or an offset.
    """

    path: Path
    height: int
    width: int
    bands: int
    crs: CRS | None
    transform: Affine
    nodata: float | None
    dtype: str
    alpha: tuple[int, ...] = ()
    rectified: bool = True
    band_names: tuple[str, ...] = ()
    scaling: tuple[tuple[float, float], ...] = ()

    @property
    def pixel_size(self) -> tuple[float, float]:
        """Pixel width and height along the raster's own axes, in units of the CRS."""
        t = self.transform
        return math.hypot(t.a, t.d), math.hypot(t.b, t.e)

    @property
    def metres_per_unit(self) -> float | None:
        """Metres per unit of a projected CRS; None for any other CRS, or if there is no CRS."""
        if self.crs is None or not self.crs.is_projected:
            return None
        return float(self.crs.linear_units_factor[1])

    @property
    def pixel_size_m(self) -> float | None:
        """Mean pixel side in metres; None if the CRS is missing, or neither projected nor geographic.

        In a geographic CRS, pixels shrink towards the poles, so the pixel at the raster's centre is measured on the
        WGS 84 ellipsoid. The result is None if the centre lies beyond a pole. Use the pixel size to compare
        resolutions, but not to compute areas.
        """
        if self.crs is None:
            return None
        if self.crs.is_geographic:
            return self._pixel_size_at_centre_m()
        unit = self.metres_per_unit
        return None if unit is None else math.sqrt(math.prod(self.pixel_size)) * unit

    @property
    def georeferenced(self) -> bool:
        """True if the file has a CRS or a transform; a PNG file has no CRS and no transform."""
        return self.crs is not None or not self.transform.is_identity

    @property
    def data_bands(self) -> list[int]:
        """All bands except alpha, counted from 1."""
        return [band for band in range(1, self.bands + 1) if band not in self.alpha]

    def part(self, window: Window) -> "Grid":
        """The grid of a window.

        Args:
            window: Window of whole pixels of the raster.
        """
        place = self.transform @ Affine.translation(window.col_off, window.row_off)
        return replace(self, height=int(window.height), width=int(window.width), transform=place)

    def _pixel_size_at_centre_m(self) -> float | None:
        if self.crs is None or self.transform.is_identity:
            return None
        _, radians = self.crs.units_factor
        latitude = (self.transform @ (self.width / 2, self.height / 2))[1] * radians
        if not abs(latitude) < math.pi / 2:
            return None
        # Radii of curvature along the meridian and across the meridian: Snyder (1987), https://doi.org/10.3133/pp1395,
        # section 4.
        flattening = 1 - _ECCENTRICITY_SQUARED * math.sin(latitude) ** 2
        north = _EQUATOR_RADIUS_M * (1 - _ECCENTRICITY_SQUARED) / flattening**1.5
        east = _EQUATOR_RADIUS_M / flattening**0.5 * math.cos(latitude)
        return math.sqrt(abs(self.transform.determinant) * north * east) * float(radians)


@contextmanager
def open_raster(path: Path) -> Iterator[DatasetReader]:
    """Open a raster for reading; its handle must stay in this thread and process.

    Args:
        path: A file, an address, or another GDAL name; see `seg.raster.remote`.

    Raises:
        RasterError: The file is missing, its name is not UTF-8, it is not a raster that GDAL can read, its metadata is
            damaged, it declares more than MOST_PIXELS pixels, or its transform is not finite or not invertible.
    """
    require_utf8_name(path)
    name = gdal_name(path)
    try:
        with settings_to_open(name):
            dataset = rasterio.open(name)
    except RasterioIOError as error:
        if is_remote(name):
            raise RasterError(
                f"{shown_name(path)}: cannot be opened ({_first_line(error)}); "
                "check the address, access to it and the connection"
            ) from error
        # The file is checked only after GDAL fails, since GDAL also opens names that are not files: subdatasets,
        # /vsizip/.
        if not path.exists():
            raise RasterError(f"{path}: no such file; check the path") from error
        raise RasterError(
            f"{path}: not a readable raster ({_first_line(error)}); wanted a GeoTIFF or another format that GDAL reads"
        ) from error
    with dataset:
        with readable_metadata(path):
            # The first property makes GDAL read all directories of the file. If this fails, rasterio raises the error
            # only at the second property.
            _ = dataset.mask_flag_enums, dataset.colorinterp
            _require_sound(path, dataset)
        yield dataset


@contextmanager
def readable_metadata(path: Path) -> Iterator[None]:
    """Convert errors in reading metadata to RasterError; GDAL reads some metadata only after opening a file.

    Args:
        path: The file, for the message.

    Raises:
        RasterError: Metadata is damaged.
    """
    try:
        yield
    except (CPLE_BaseError, UnicodeDecodeError) as error:
        raise RasterError(
            f"{shown_name(path)}: its metadata cannot be read ({_first_line(error)}); copy or download the file again"
        ) from error


def read_grid(path: Path) -> Grid:
    """The grid of a raster file.

    Raises:
        RasterError: The file or a source file of a mosaic cannot be opened, the file holds no band, or a band holds
            complex numbers.
    """
    with open_raster(path) as dataset, readable_metadata(path):
        if dataset.count == 0:
            raise RasterError(f"{path}: holds no band of its own; name one of its subdatasets instead")
        require_real(dataset)
        require_sources(dataset)
        return Grid(
            path=path,
            height=dataset.height,
            width=dataset.width,
            bands=dataset.count,
            crs=dataset.crs,
            transform=dataset.transform,
            nodata=dataset.nodata,
            dtype=dataset.dtypes[0],
            alpha=tuple(alpha_bands(dataset)),
            rectified=not (dataset.transform.is_identity and (dataset.gcps[0] or dataset.rpcs)),
            band_names=_band_names(dataset),
            scaling=_scaling(dataset),
        )


def alpha_bands(dataset: DatasetReader) -> list[int]:
    """The bands that are tagged as alpha, counted from 1."""
    return [band for band, meaning in enumerate(dataset.colorinterp, start=1) if meaning is ColorInterp.alpha]


def band_texts(dataset: DatasetReader, kind: Literal["descriptions", "units"] = "descriptions") -> tuple[str, ...]:
    """Descriptions or units of the bands; "" if a band has no text, and "" for all bands if a text is not UTF-8."""
    try:
        texts = dataset.descriptions if kind == "descriptions" else dataset.units
        return tuple(str(text or "").strip() for text in texts)
    except UnicodeDecodeError:  # GDAL passes on the bytes of a file, for example GBK in the header of an ENVI raster.
        return ("",) * int(dataset.count)


def _band_names(dataset: DatasetReader) -> tuple[str, ...]:
    names = band_texts(dataset)
    return names if any(names) else ()


def _scaling(dataset: DatasetReader) -> tuple[tuple[float, float], ...]:
    scaling = tuple(zip(dataset.scales, dataset.offsets, strict=True))
    return scaling if any(band != (1, 0) for band in scaling) else ()


def data_bands(dataset: DatasetReader) -> list[int]:
    """All bands except alpha, counted from 1."""
    alpha = alpha_bands(dataset)
    return [band for band in dataset.indexes if band not in alpha]


def require_real(dataset: DatasetReader) -> None:
    """Check that a raster holds real numbers.

    Raises:
        RasterError: A band has a complex type; GDAL would read only the real parts.
    """
    unreal = [dtype for dtype in dataset.dtypes if dtype.startswith("complex")]
    if unreal:
        raise RasterError(
            f"{dataset.name}: holds complex numbers ({unreal[0]}), wanted real numbers; "
            "first convert them to a real quantity, such as amplitude or backscatter"
        )


def require_sources(dataset: DatasetReader, few: int = FEW_SOURCES) -> None:
    """Check that all local source files of a mosaic can be opened, including sources of mosaics within the mosaic.

    GDAL reports a missing file only when its pixels are read, and only once. Later reads return zeros, which look like
    data.

    Args:
        dataset: An open raster; only a VRT has source files.
        few: If there are at most this number of source files, all are opened; otherwise only nested mosaics and files
            that look missing are opened.

    Raises:
        RasterError: A source file is missing or cannot be opened; the message names it.
    """
    if dataset.driver == "VRT":
        _require_sources(dataset, shown_name(Path(dataset.name)), {dataset.name}, few)


def _require_sources(dataset: DatasetReader, mosaic: str, seen: set[str], few: int) -> None:
    # Files whose names start with the mosaic's name are statistics and overviews, which viewers write.
    files = [file for file in source_files(dataset)[1:] if not file.startswith(f"{dataset.name}.") and file not in seen]
    seen.update(files)
    for file in files:
        exists = Path(file).is_file() and os.access(file, os.R_OK)
        if is_remote(file) or (exists and len(files) > few and not is_vrt(Path(file))):
            continue
        try:
            with rasterio.open(file) as inner:
                if inner.driver == "VRT":
                    _require_sources(inner, mosaic, seen, few)
        except RasterioIOError as error:
            raise RasterError(
                f"{mosaic}: its source file {file} cannot be opened ({' '.join(str(error).split())[:200]}); "
                "restore the file, or remove it from the mosaic so that its pixels become nodata"
            ) from error


def source_files(dataset: DatasetReader) -> list[str]:
    """GDAL names of a raster's files: the raster itself, the files that GDAL lists, and mask files of a VRT."""
    files = list(dataset.files)
    if dataset.driver == "VRT" and dataset.count and MaskFlags.per_dataset in dataset.mask_flag_enums[0]:
        masks = re.findall(r"<MaskBand>.*?</MaskBand>", dataset.tags(ns="xml:VRT").get("xml:VRT", ""), re.DOTALL)
        for relative, name in re.findall(r"<SourceFilename relativeToVRT=\"(\d)\"[^>]*>([^<]+)<", "".join(masks)):
            file = str(Path(dataset.name).parent / unescape(name)) if relative == "1" else unescape(name)
            files += [] if file in files else [file]
    return files


def is_vrt(file: Path) -> bool:
    """True if a file begins like a VRT, whatever its name; GDAL recognises VRTs by content."""
    try:
        with file.open("rb") as opened:
            return b"<VRTDataset" in opened.read(_SNIFFED)
    except OSError:
        return False


def _require_sound(path: Path, dataset: DatasetReader) -> None:
    """Check the size and the transform of a raster.

    Raises:
        RasterError: The file declares more than MOST_PIXELS pixels, or its transform is not finite or not
            invertible.
    """
    pixels = dataset.height * dataset.width
    if pixels > MOST_PIXELS:
        raise RasterError(
            f"{shown_name(path)}: declares {dataset.width:,} x {dataset.height:,} pixels, "
            f"wanted at most {MOST_PIXELS:,} in all; check how the file was made, or cut it into several files"
        )
    numbers = tuple(dataset.transform)[:6]
    area = abs(dataset.transform.a * dataset.transform.e - dataset.transform.b * dataset.transform.d)
    if not all(map(math.isfinite, numbers)) or not LEAST_PIXEL_AREA < area < math.inf:
        shown = ", ".join(f"{number:g}" for number in numbers)
        raise RasterError(
            f"{shown_name(path)}: its transform ({shown}) is not finite or not invertible; georeference the file again"
        )


def placed_on(labels: Grid, image: Grid) -> Grid:
    """The grid of the labels, with the image's CRS and transform if the labels have the same size but no georeference.

    For example, labels that an annotation tool wrote as PNG have no georeference.

    Args:
        labels: The grid of the mask's file.
        image: The grid of the labelled image.
    """
    if labels.georeferenced or (labels.height, labels.width) != (image.height, image.width):
        return labels
    return replace(labels, crs=image.crs, transform=image.transform)


def require_same_grid(grid: Grid, reference: Grid) -> None:
    """Check that two rasters share size, CRS and transform, so that their pixels correspond one to one.

    Transforms may differ by a thousandth of a pixel, since writers round differently. A raster without a CRS or with a
    local CRS matches any CRS if the transforms are equal, since many annotation tools drop the CRS.

    Raises:
        RasterError: The grids differ; the message names both files and the first difference.
    """
    if (grid.height, grid.width) != (reference.height, reference.width):
        raise RasterError(
            f"{grid.path}: size is {grid.width}x{grid.height}, but {reference.path} has "
            f"{reference.width}x{reference.height} (width x height); bring both to one grid"
        )
    if has_place(grid.crs) and has_place(reference.crs) and not same_crs(grid.crs, reference.crs):
        name, wanted = crs_names(grid.crs, reference.crs)
        raise RasterError(
            f"{grid.path}: CRS is {name}, but {reference.path} has {wanted}; "
            "bring both to one grid (masks are never warped on the fly)"
        )
    tolerance = 1e-3 * min(reference.pixel_size)
    corners = [(0, 0), (grid.width, 0), (0, grid.height), (grid.width, grid.height)]
    apart = max(math.dist(grid.transform @ corner, reference.transform @ corner) for corner in corners)
    if apart > tolerance:
        raise RasterError(
            f"{grid.path}: lies up to {apart / min(reference.pixel_size):.3g} pixels off {reference.path}; "
            "bring both to one grid"
        )


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
