"""Burn polygons into a raster window by window; the result does not depend on the windows."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.features
import shapely
from rasterio import Affine
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.windows import Window

from seg import __version__
from seg.files import SOFTWARE, complete_or_absent, writing
from seg.labels import CROPLAND, IGNORE, LABEL_COLOURS, OTHER
from seg.raster.chips import BoolMask, ByteMask, Polygons
from seg.raster.grid import Grid
from seg.raster.vectors.crossed_pixels import crossed_pixels, on_lattice
from seg.raster.vectors.settings import BurnSettings
from seg.raster.windows import window_grid
from seg.raster.writing.geotiff import byte_profile, tile_sides

if TYPE_CHECKING:  # the import is slow, since it imports pyproj
    from seg.raster.vectors.placing import Parcels

WINDOW = 2048
"""Side of the windows in which a mask is burnt; a multiple of the tile's side, so that each tile is written once."""

_TILE = 512
_ARC = 16
"""Segments per quarter circle of a buffer; with 16, the width of the buffer is accurate to 0.2 percent."""


@dataclass(frozen=True)
class Layer:
    """Polygons that are burnt with one label.

    Attributes:
        label: The value to burn.
        polygons: Simple polygons in pixels of the raster, x to the right and y down.
        all_touched: Burn every pixel that a polygon covers in part, not only pixels whose centre it covers.
    """

    label: int
    polygons: Polygons
    all_touched: bool = False

    @cached_property
    def tree(self) -> shapely.STRtree:
        """Index of the polygons by their boxes."""
        return shapely.STRtree(self.polygons)

    def covers(self, window: Window) -> BoolMask:
        """(H, W) True for pixels of a window that get the label."""
        near = self.polygons[_query(self.tree, window)]
        if not len(near):
            return np.zeros((int(window.height), int(window.width)), dtype=bool)
        covered: BoolMask = _rasterized(near, window, "uint8").astype(bool)
        # GDAL's own "all touched" walks along edges from the window's border, so its pixels depend on the window.
        return covered | crossed_pixels(near, window) if self.all_touched else covered


class NumberedPolygons:
    """Polygons burnt with their numbers, from 1 in the given order; where polygons overlap, the last one wins.

    Args:
        polygons: Simple polygons in pixels of the raster, x to the right and y down.
    """

    def __init__(self, polygons: Polygons) -> None:
        self._polygons: Polygons = shapely.transform(polygons, on_lattice)

    def __len__(self) -> int:
        return len(self._polygons)

    def read(self, window: Window) -> npt.NDArray[np.int64]:
        """(H, W) number of the polygon that covers each pixel's centre; 0 if no polygon covers the centre."""
        near = np.sort(_query(self._tree, window))
        if not len(near):
            return np.zeros((int(window.height), int(window.width)), dtype=np.int64)
        numbered = zip(self._polygons[near], (near + 1).tolist(), strict=True)
        return _rasterized(numbered, window, "int32").astype(np.int64)

    @cached_property
    def _tree(self) -> shapely.STRtree:
        return shapely.STRtree(self._polygons)


def _query(tree: shapely.STRtree, window: Window) -> npt.NDArray[np.int64]:
    right, bottom = window.col_off + int(window.width), window.row_off + int(window.height)
    found: npt.NDArray[np.int64] = tree.query(shapely.box(window.col_off, window.row_off, right, bottom))
    return found


def _rasterized(shapes: Iterable[object], window: Window, dtype: str) -> npt.NDArray[np.integer]:
    # The transform moves vertices by whole pixels, so they stay on the lattice without rounding.
    place = Affine.translation(window.col_off, window.row_off)
    shape = int(window.height), int(window.width)
    pixels: npt.NDArray[np.integer] = rasterio.features.rasterize(shapes, shape, transform=place, dtype=dtype)
    return pixels


def label_layers(parcels: "Parcels", settings: BurnSettings) -> list[Layer]:
    """Layers of labelled polygons, in the order in which they are burnt.

    Args:
        parcels: The polygons.
        settings: Pixels that a polygon burns, and the width of ignored edges.
    """
    layers = class_layers(parcels.polygons, parcels.labels, settings.all_touched)
    if settings.ignore_buffer:
        layers.append(edge_layer(parcels.polygons, settings.ignore_buffer))
    return layers


def class_layers(polygons: Polygons, labels: ByteMask, all_touched: bool) -> list[Layer]:
    """One layer for each label, in the order in which they are burnt: other, cropland, ignore.

    The mask therefore does not depend on the order of the polygons in their file.

    Args:
        polygons: Simple polygons in pixels.
        labels: (N,) OTHER, CROPLAND or IGNORE.
        all_touched: Burn every pixel that a polygon covers in part, as in `Layer`.
    """
    placed = shapely.transform(polygons, on_lattice)
    return [Layer(label, placed[labels == label], all_touched) for label in (OTHER, CROPLAND, IGNORE)]


def edge_layer(polygons: Polygons, width: int) -> Layer:
    """Layer that ignores pixels near the edges of polygons.

    Args:
        polygons: Simple polygons in pixels.
        width: Width of the strip on each side of an edge, in pixels; pixels whose centre lies in a strip are ignored.
    """
    bands = shapely.buffer(shapely.boundary(polygons), width, quad_segs=_ARC)
    return Layer(IGNORE, shapely.transform(shapely.get_parts(bands), on_lattice))


def burn_window(layers: Iterable[Layer], window: Window, outside: int) -> ByteMask:
    """Labels of a window, (H, W).

    Args:
        layers: Layers to burn; a later layer covers earlier layers.
        window: Part of the raster.
        outside: Label of pixels outside all layers.
    """
    mask = np.full((int(window.height), int(window.width)), outside, dtype=np.uint8)
    for layer in layers:
        mask[layer.covers(window)] = layer.label
    return mask


def burnt_windows(
    layers: list[Layer], grid: Grid, outside: int, size: int = WINDOW
) -> Iterator[tuple[Window, ByteMask]]:
    """Windows of a mask with their labels, one window in memory at a time; the window size does not change the labels.

    Args:
        layers: Layers to burn; a later layer covers earlier layers.
        grid: Grid of the image.
        outside: Label of pixels outside all layers.
        size: Side of a window.
    """
    for window in window_grid(grid.height, grid.width, size, size):
        yield window, burn_window(layers, window, outside)


def write_mask(path: Path, grid: Grid, parts: Iterable[tuple[Window, ByteMask]]) -> npt.NDArray[np.int64]:
    """Write a mask on the image's grid, atomically; return the number of its pixels by label, (256,).

    Args:
        path: The file to write; its folder must exist.
        grid: Grid of the image.
        parts: Windows with their labels; together they cover the grid.

    Raises:
        WriteError: The file cannot be written.
        ClaimError: Another process writes the file.
    """
    with complete_or_absent(path) as unfinished, writing(path, RasterioError, CPLE_BaseError):
        _write(unfinished, grid, parts)
        return _count(unfinished)


def _write(path: Path, grid: Grid, parts: Iterable[tuple[Window, ByteMask]]) -> None:
    profile = byte_profile(grid, IGNORE) | tile_sides(grid.height, grid.width, _TILE)
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.set_band_description(1, "label")
        dataset.write_colormap(1, LABEL_COLOURS)
        dataset.update_tags(SOFTWARE=f"{SOFTWARE} {__version__}")  # Later runs replace only masks of this project.
        for window, mask in parts:
            dataset.write(mask, 1, window=window)


def _count(path: Path) -> npt.NDArray[np.int64]:
    """Number of pixels by value. The file is read back, since GDAL does not report an error of the last write to it."""
    counts = np.zeros(256, dtype=np.int64)
    with rasterio.open(path) as dataset:
        for _, window in dataset.block_windows(1):
            counts += np.bincount(dataset.read(1, window=window).ravel(), minlength=256)
    return counts
