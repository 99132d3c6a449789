"""Masks of scenes, such as clouds: from the quality band of a product or from another raster."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.io import DatasetReader
from rasterio.windows import Window

from seg.errors import RasterError
from seg.files import put_in_place, sha256, work_folder
from seg.imagery.cloud_polygons import CloudPolygons
from seg.imagery.grids import EQUAL_SIZE, Place, band_grid, place_on
from seg.imagery.product import MaskKind, Product, SourceBand, require_present
from seg.imagery.settings import MaskSettings
from seg.raster.chips import BoolMask, ByteMask, unreadable
from seg.raster.grid import Grid, open_raster
from seg.raster.writing.geotiff import byte_profile

MASK = ".msk"
"""Suffix of a mask file: a GeoTIFF that holds 255 where a scene is valid and 0 elsewhere."""

VALID = 255

ROWS = 512
"""Number of rows of a scene that are masked at a time."""

BITS = 64
"""Number of bits of the largest integers."""


@dataclass(frozen=True)
class MaskSource:
    """Raster whose values tell which pixels are masked.

    Attributes:
        band: The band with the values.
        kind: Form of the values, as in `QualityBand`.
        hidden: Masked classes, bits or layers. With bits and layers, a pixel is masked if at least one of them is set.
        read: Function that returns the bytes of a file of polygons; None for rasters.
    """

    band: SourceBand
    kind: MaskKind
    hidden: tuple[int, ...]
    read: Callable[[], bytes] | None = None

    @property
    def bands(self) -> list[int]:
        """Bands of the file to read."""
        return list(self.hidden) if self.kind == "layers" else [self.band.index]

    def hides(self, values: npt.NDArray[np.generic]) -> BoolMask:
        """True where a value is a masked class or has a masked bit.

        Args:
            values: (C, H, W) values of `bands`; the result is (H, W).
        """
        if self.kind == "layers":
            return np.asarray((values != 0).any(axis=0))
        values = values[0]
        if self.kind == "classes":
            return np.isin(values, self.hidden)
        flags = sum(1 << bit for bit in self.hidden)
        return np.asarray(np.bitwise_and(values.astype(np.uint64), np.uint64(flags)) != 0)


def mask_source(product: Product, settings: MaskSettings) -> MaskSource:
    """Raster that masks the pixels of a product.

    Args:
        product: The product.
        settings: Settings with `mask` "auto" or the path of a raster.

    Raises:
        RasterError: The product has no quality band, or lacks its file; or a chosen class, bit or layer is unknown.
    """
    values = settings.mask_values
    if settings.is_file:
        return MaskSource(SourceBand("mask", Path(settings.mask)), "classes", tuple(values or ()))
    quality = product.quality
    if quality is None:
        raise RasterError(
            f"{product.path}: has no quality band (SCL, MSK_CLASSI, MSK_CLOUDS, QA_PIXEL), which --mask=auto needs; "
            "name a mask with --mask=FILE --mask-values=[...], or leave --mask out"
        )
    require_present(product, quality.band)
    hidden = quality.hidden if values is None else tuple(values)
    if quality.kind == "bits" and not all(0 <= bit < BITS for bit in hidden):
        raise RasterError(
            f"{quality.band.file}: each bit is a flag, but --mask-values is {list(hidden)}; wanted numbers of bits, "
            f"0 to {BITS - 1}"
        )
    if quality.meanings and not quality.meanings.keys() >= set(hidden):
        known = ", ".join(f"{number} {meaning}" for number, meaning in quality.meanings.items())
        raise RasterError(f"{quality.band.file}: --mask-values is {list(hidden)}; wanted some of {known}")
    return MaskSource(quality.band, quality.kind, hidden, quality.read)


def write_mask(source: MaskSource, scene: Grid, path: Path, dilate: int) -> float:
    """Write the mask of a scene, strip by strip, and return the share of pixels that it hides.

    Each pixel of the scene takes the value of the nearest pixel of the source. An equal older file is not replaced,
    since a new file would make an interrupted map of the scene start again.

    Args:
        source: Raster with the values.
        scene: Grid of the scene.
        path: The mask file.
        dilate: Distance in pixels of the scene. Pixels within this distance of a masked pixel are masked too.

    Raises:
        RasterError: The source cannot be read, or lies on another grid.
        WriteError: The file cannot be written.
    """
    hidden = 0
    with ExitStack() as opened:
        folder = opened.enter_context(work_folder(path))
        source = _as_raster(source, scene, folder / "polygons.tif")
        place = _require_fitting(band_grid(replace(source.band, index=max(source.bands))), scene)
        dataset = opened.enter_context(open_raster(source.band.file))
        unfinished = folder / path.name
        profile = byte_profile(scene, 0) | {"nodata": None, "blockxsize": 256, "blockysize": 256}
        with rasterio.open(unfinished, "w", **profile) as written:
            for top, valid in _strips(dataset, source, place, (scene.height, scene.width), dilate):
                hidden += int((valid == 0).sum())
                written.write(valid, 1, window=Window(0, top, scene.width, len(valid)))
        if not (path.is_file() and sha256(path) == sha256(unfinished)):
            put_in_place(unfinished, path)
    return hidden / (scene.height * scene.width)


def _as_raster(source: MaskSource, scene: Grid, path: Path) -> MaskSource:
    """The source itself or, if it is a file of polygons, a raster of the masked polygons on the grid of the scene."""
    if source.read is None:
        return source
    CloudPolygons(source.band.file, source.read).burn(scene, path, source.hidden)
    return MaskSource(SourceBand(source.band.name, path), "classes", (1,))


def _strips(
    dataset: DatasetReader, source: MaskSource, place: Place, shape: tuple[int, int], dilate: int
) -> Iterator[tuple[int, ByteMask]]:
    """First row of each strip of a scene, and the validity of the strip, 255 or 0."""
    height, width = shape
    columns = _nearest(np.arange(width), place.left, place.step, dataset.width)
    for top in range(0, height, ROWS):
        bottom = min(top + ROWS, height)
        first, last = max(top - dilate, 0), min(bottom + dilate, height)
        rows = _nearest(np.arange(first, last), place.top, place.step, dataset.height)
        window = Window(0, rows[0], dataset.width, rows[-1] - rows[0] + 1)
        try:
            values = dataset.read(source.bands, window=window)
        except rasterio.errors.RasterioError as error:
            raise unreadable(dataset, window, error) from error
        hidden = source.hides(values)[rows - rows[0]][:, columns]
        valid = np.where(_dilated(hidden, dilate), 0, VALID).astype(np.uint8)
        yield top, valid[top - first : bottom - first]


def _nearest(pixels: npt.NDArray[np.int64], start: float, step: float, count: int) -> npt.NDArray[np.int64]:
    """Row or column of the source under the centre of each pixel of the scene."""
    found: npt.NDArray[np.int64] = np.floor((pixels + 0.5 - start) / step).astype(np.int64).clip(0, count - 1)
    return found


def _dilated(hidden: BoolMask, distance: int) -> BoolMask:
    """True at all pixels within a distance of a True pixel, measured in pixels between the centres."""
    if distance == 0 or not hidden.any():
        return hidden
    apart = cv2.distanceTransform((~hidden).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(apart <= distance)


def _require_fitting(mask: Grid, scene: Grid) -> Place:
    """Place of a mask on a scene.

    Raises:
        RasterError: The mask has another CRS, its pixels are not whole multiples or parts of the scene's pixels, or it
            covers only a part of the scene.
    """
    try:
        place = place_on(mask, scene)
    except RasterError as error:
        reason = str(error).removeprefix(f"{mask.path}: ").partition(";")[0].replace("other bands", "the scene")
        raise _unfitting(mask, reason) from error
    ratio = max(place.step, 1 / place.step)
    if abs(ratio - round(ratio)) > EQUAL_SIZE * ratio:
        raise _unfitting(mask, f"its pixels are {place.step:.6g} times as large as those of the scene")
    if not place.covers(scene, max(place.step, 1) / 2):
        raise _unfitting(mask, "it covers only a part of the scene")
    return place


def _unfitting(mask: Grid, reason: str) -> RasterError:
    return RasterError(
        f"{mask.path}: lies on another grid than the scene ({reason}); wanted a mask of the whole scene, with the same "
        "pixel size or a whole multiple of it; warp it with gdalwarp -r near"
    )
