"""Burn polygons into a mask window by window: the same pixels, whatever the windows are."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.features
import shapely
from rasterio import Affine
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.windows import Window

from seg.errors import RasterError
from seg.files import complete_or_absent
from seg.labels import (
    CROPLAND,
    IGNORE,
    LABEL_COLOURS,
    OTHER,
)
from seg.raster.chips import BoolMask, ByteMask
from seg.raster.grid import Grid
from seg.raster.vectors.crossed_pixels import Polygons, crossed_pixels, on_lattice
from seg.raster.windows import window_grid
from seg.raster.writing.geotiff import byte_profile

WINDOW = 2048
"""Side of the windows that a mask is burnt in; a multiple of the file's tiles, so that each is written once."""

_TILE = 512
_ARC = 16
"""Segments of a quarter circle around the ends of an edge: its width is right to half a hundredth."""


@dataclass(frozen=True)
class Layer:
    """Polygons that get one label.

    Attributes:
        label: The value burnt.
        polygons: Simple polygons in pixels of the raster, x to the right and y down.
        all_touched: Burn every pixel that a polygon covers any part of, not only those whose centre it covers.
    """

    label: int
    polygons: Polygons
    all_touched: bool = False

    @cached_property
    def tree(self) -> shapely.STRtree:
        """An index of the polygons by their boxes."""
        return shapely.STRtree(self.polygons)

    def covers(self, window: Window) -> BoolMask:
        """Which pixels of a window get the label, (H, W)."""
        shape = int(window.height), int(window.width)
        left, top = window.col_off, window.row_off
        near = self.polygons[self.tree.query(shapely.box(left, top, left + shape[1], top + shape[0]))]
        if not len(near):
            return np.zeros(shape, dtype=bool)
        # Whole numbers of pixels as transform: GDAL then shifts vertices on the lattice without rounding.
        place = Affine.translation(left, top)
        covered: BoolMask = rasterio.features.rasterize(near, shape, transform=place, dtype="uint8").astype(bool)
        # GDAL's own rule steps along edges from the window's border, so its pixels depend on the window.
        return covered | crossed_pixels(near, window) if self.all_touched else covered


def class_layers(polygons: Polygons, labels: ByteMask, all_touched: bool) -> list[Layer]:
    """One layer a label, in the order in which they are burnt: ignore wins over cropland, cropland over other.

    So what a mask holds where polygons overlap does not depend on the order of the polygons in their file.

    Args:
        polygons: Simple polygons in pixels.
        labels: (N,) OTHER, CROPLAND or IGNORE of each.
        all_touched: See `Layer`.
    """
    placed = shapely.transform(polygons, on_lattice)
    return [Layer(label, placed[labels == label], all_touched) for label in (OTHER, CROPLAND, IGNORE)]


def edge_layer(polygons: Polygons, width: int) -> Layer:
    """The ignored pixels along the edges of polygons: those whose centre lies at most so far from an edge.

    Args:
        polygons: Simple polygons in pixels.
        width: Distance in pixels, to both sides of an edge.
    """
    bands = shapely.buffer(shapely.boundary(polygons), width, quad_segs=_ARC)
    return Layer(IGNORE, shapely.transform(shapely.get_parts(bands), on_lattice))


def burn_window(layers: Iterable[Layer], window: Window, outside: int) -> ByteMask:
    """The labels of a window, (H, W).

    Args:
        layers: What to burn, later ones over earlier ones.
        window: Part of the raster.
        outside: The label of pixels that no layer covers.
    """
    mask = np.full((int(window.height), int(window.width)), outside, dtype=np.uint8)
    for layer in layers:
        mask[layer.covers(window)] = layer.label
    return mask


def burnt_windows(
    layers: list[Layer], grid: Grid, outside: int, size: int = WINDOW
) -> Iterator[tuple[Window, ByteMask]]:
    """The windows of a mask with their labels, one in memory at a time; the labels do not depend on the size.

    Args:
        layers: What to burn, later ones over earlier ones.
        grid: The grid of the image.
        outside: The label of pixels that no layer covers.
        size: Side of a window.
    """
    for window in window_grid(grid.height, grid.width, size, size):
        yield window, burn_window(layers, window, outside)


def write_mask(path: Path, grid: Grid, parts: Iterable[tuple[Window, ByteMask]]) -> npt.NDArray[np.int64]:
    """Write a mask on exactly the image's grid, whole or not at all; returns its pixels by label, (256,).

    Args:
        path: The file to write; its folder must exist.
        grid: The grid of the image.
        parts: Windows with their labels; together they cover the grid.

    Raises:
        RasterError: The file cannot be written.
    """
    try:
        with complete_or_absent(path) as partial:
            _write(partial, grid, parts)
            return _count(partial)
    except (RasterioError, CPLE_BaseError, OSError) as error:
        raise RasterError(
            f"{path}: cannot be written ({error}); its folder must exist and be writable, with free space on its disk"
        ) from error


def _write(path: Path, grid: Grid, parts: Iterable[tuple[Window, ByteMask]]) -> None:
    # Small rasters get small tiles (in steps of 16, as TIFF wants), so that reading them decodes no padding.
    tile_height, tile_width = (min(_TILE, -(-side // 16) * 16) for side in (grid.height, grid.width))
    with rasterio.open(
        path, "w", **byte_profile(grid, IGNORE), blockysize=tile_height, blockxsize=tile_width
    ) as dataset:
        dataset.set_band_description(1, "label")
        dataset.write_colormap(1, LABEL_COLOURS)
        for window, mask in parts:
            dataset.write(mask, 1, window=window)


def _count(path: Path) -> npt.NDArray[np.int64]:
    """Pixels by value, read back: nobody hears of it when GDAL's last write, at closing, fails."""
    counts = np.zeros(256, dtype=np.int64)
    with rasterio.open(path) as dataset:
        for _, window in dataset.block_windows(1):
            counts += np.bincount(dataset.read(1, window=window).ravel(), minlength=256)
    return counts


class NumberedPolygons:
    """Polygons that are burnt by their numbers, from 1 in the order given; of those that overlap, the last one wins.

    Args:
        polygons: Simple polygons in pixels of the raster, x to the right and y down.
    """

    def __init__(self, polygons: Polygons) -> None:
        self._polygons: Polygons = shapely.transform(polygons, on_lattice)

    def __len__(self) -> int:
        return len(self._polygons)

    def read(self, window: Window) -> npt.NDArray[np.int64]:
        """The number of the polygon that covers the centre of each pixel, (H, W); 0 where none does."""
        shape = int(window.height), int(window.width)
        left, top = window.col_off, window.row_off
        near = np.sort(self._tree.query(shapely.box(left, top, left + shape[1], top + shape[0])))
        if not len(near):
            return np.zeros(shape, dtype=np.int64)
        numbered = zip(self._polygons[near], (near + 1).tolist(), strict=True)
        # Whole numbers of pixels as transform: GDAL then shifts vertices on the lattice without rounding.
        place = Affine.translation(left, top)
        numbers: npt.NDArray[np.int32] = rasterio.features.rasterize(numbered, shape, transform=place, dtype="int32")
        return numbers.astype(np.int64)

    @cached_property
    def _tree(self) -> shapely.STRtree:
        return shapely.STRtree(self._polygons)
