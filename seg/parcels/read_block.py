"""Read the parcels of one block of a map: whole parcels, and parts that continue in neighbouring blocks."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rasterio.windows import Window
from scipy import ndimage

from seg.labels import CROPLAND
from seg.parcels.corners import Integers, Labels, corners_of
from seg.parcels.pieces import TALLIES, Pieces, chosen
from seg.parcels.settings import PolygonSettings
from seg.raster.chips import BoolMask
from seg.raster.classes import MOST_PERCENT, read_classes, read_percent
from seg.raster.grid import Grid, open_raster
from seg.raster.windows import Block

EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)
"""The eight neighbours of a pixel."""


@dataclass(frozen=True)
class Borders:
    """Labels along the sides of a block, and connections to the neighbouring blocks.

    Attributes:
        parcels: Labels of parcels in the top row, left column, bottom row and right column.
        units: Labels of units along the same sides.
        joins_above: (W,) True where a pixel in the top row belongs to the same parcel as the pixel above it. A value is
            used only if both pixels belong to parcels.
        joins_left: (H,) True where a pixel in the left column belongs to the same parcel as the pixel to its left. A
            value is used only if both pixels belong to parcels.
    """

    parcels: tuple[Labels, Labels, Labels, Labels]
    units: tuple[Labels, Labels, Labels, Labels]
    joins_above: BoolMask
    joins_left: BoolMask


@dataclass(frozen=True)
class BlockParcels:
    """Parcels of one block; labels count from 1 within the block.

    Attributes:
        block: The block.
        whole: Parcels of all units that touch no neighbouring block.
        parts: Parts of parcels, from all units that touch a neighbouring block.
        reaching: (U,) labels of the units that touch a neighbouring block. A parcel that leaves the block and comes
            back can have pixels in several of these units; `parts` then lists the parcel under one of them.
        borders: Labels along the sides.
    """

    block: Block
    whole: Pieces
    parts: Pieces
    reaching: Integers
    borders: Borders


@dataclass(frozen=True)
class MapReader:
    """Read blocks of a map; each call opens the files, since file handles must stay in one thread.

    Attributes:
        grid: Grid of the map.
        settings: Maps to read, and the growth distance of interiors.
    """

    grid: Grid
    settings: PolygonSettings

    @property
    def halo(self) -> int:
        """Context of a block in pixels: the growth distance of interiors plus one pixel; 0 without interiors."""
        return 0 if self.settings.interior is None else self.settings.growth + 1

    @property
    def by_cluster(self) -> bool:
        """True if units are clusters of parcels that share an edge or a corner; False if units are single parcels."""
        return self.settings.interior is not None or self.settings.simplify > 0

    def read(self, block: Block) -> BlockParcels:
        """Read one block.

        Raises:
            RasterError: A file cannot be read, or holds invalid values.
        """
        parcels, joins = self._parcels(block)
        units = clusters(parcels > 0) if self.by_cluster else parcels
        pieces = self._pieces(block.core, parcels, units)
        borders = Borders(_sides(parcels), _sides(units), *joins)
        reaching = np.zeros(int(units.max(initial=0)) + 1, dtype=bool)
        for side, beyond in zip(borders.units, self._has_neighbour(block.core), strict=True):
            if beyond:
                reaching[side] = True
        reaching[0] = False
        parts = chosen(pieces, reaching)
        return BlockParcels(block, chosen(pieces, ~reaching), parts, np.flatnonzero(reaching), borders)

    def _parcels(self, block: Block) -> tuple[Labels, tuple[BoolMask, BoolMask]]:
        """Labels of parcels in the core, and masks of its top row and left column.

        A mask is True where a pixel continues the parcel of its neighbour above or to the left.
        """
        core, settings = block.core, self.settings
        cropland = _cropland(self.grid.path, block.read)
        if settings.interior is None:
            return components(cropland), (np.ones(core.width, dtype=bool), np.ones(core.height, dtype=bool))
        rows, columns = block.core_within_read
        above, left = min(rows.start, 1), min(columns.start, 1)
        part = slice(rows.start - above, rows.stop), slice(columns.start - left, columns.stop)
        labels = grown_parcels(cropland, _cropland(settings.interior, block.read), settings.growth, part)
        parcels = np.ascontiguousarray(labels[above:, left:])
        return parcels, (labels[0, left:] == parcels[0], labels[above:, 0] == parcels[:, 0])

    def _pieces(self, window: Window, parcels: Labels, units: Labels) -> Pieces:
        unit_of = np.arange(int(parcels.max(initial=0)) + 1)
        if units is not parcels:
            unit_of[:] = 0
            unit_of[parcels.ravel()] = units.ravel()
        present = np.flatnonzero(unit_of)  # Some labels of the window lie only in its halo.
        return Pieces(
            corners=corners_of(parcels, self.settings.interior is None, window.row_off, window.col_off),
            parcels=present,
            units=unit_of[present],
            tallies=self._tallies(window, parcels, present),
        )

    def _tallies(self, window: Window, parcels: Labels, present: Integers) -> Integers:
        if self.settings.probability is None:
            return np.zeros((len(present), TALLIES), dtype=np.int64)
        with open_raster(self.settings.probability) as dataset:
            percent, valid = read_percent(dataset, window)
        low, high = (round(MOST_PERCENT * bound, 6) for bound in self.settings.uncertain)
        uncertain = valid & (percent >= low) & (percent <= high)
        flat, amounts = parcels.ravel(), (valid, np.where(valid, percent, 0), uncertain)
        sums = [np.bincount(flat, amount.ravel()) for amount in amounts]
        return np.column_stack(sums)[present].astype(np.int64)

    def _has_neighbour(self, core: Window) -> tuple[bool, bool, bool, bool]:
        bottom, right = core.row_off + core.height, core.col_off + core.width
        return core.row_off > 0, core.col_off > 0, bottom < self.grid.height, right < self.grid.width


def components(inside: BoolMask) -> Labels:
    """(H, W) int32 labels of 4-connected components, from 1; 0 outside."""
    labels: Labels = ndimage.label(inside, output=np.int32)[0]
    return labels


def clusters(inside: BoolMask) -> Labels:
    """(H, W) int32 labels of 8-connected components, from 1; 0 outside."""
    labels: Labels = ndimage.label(inside, structure=EIGHT_NEIGHBOURS, output=np.int32)[0]
    return labels


def grown_parcels(
    cropland: BoolMask, interior: BoolMask, distance: int, part: tuple[slice, slice] = (slice(None), slice(None))
) -> Labels:
    """Split touching parcels: grow interiors into the surrounding cropland until they meet.

    In each of `distance` steps, a cropland pixel without a parcel joins the parcel of a neighbour. Neighbours are tried
    in this order: above, left, right, below. Cropland that no interior reaches forms 4-connected parcels of its own.
    The parcel of a pixel therefore depends only on pixels up to `distance` steps away.

    Args:
        cropland: (H, W) True for cropland.
        interior: (H, W) True for the interiors of parcels, which do not touch each other; ignored outside cropland.
        distance: Number of steps, in pixels along rows and columns.
        part: Rows and columns to return. In a window of a larger map, this part must lie at least `distance` from the
            cut edges, since interiors outside the window do not grow into it.

    Returns:
        int32 labels of parcels; 0 outside cropland.
    """
    labels = np.pad(components(interior & cropland), 1)
    flat, width = labels.ravel(), labels.shape[1]
    pending = np.flatnonzero(np.pad(cropland, 1).ravel() & (flat == 0))
    for _ in range(distance):
        found = np.zeros(len(pending), dtype=np.int32)
        for neighbour in (width, 1, -1, -width):  # The last assignment wins.
            candidate = flat[pending + neighbour]
            np.copyto(found, candidate, where=candidate != 0)
        if not found.any():
            break
        flat[pending] = found
        pending = pending[found == 0]
    wanted = labels[1:-1, 1:-1][part]
    rest = cropland[part] & (wanted == 0)
    own = components(rest)
    own[rest] += labels.max()
    return wanted + own


def _sides(labels: Labels) -> tuple[Labels, Labels, Labels, Labels]:
    return labels[0].copy(), labels[:, 0].copy(), labels[-1].copy(), labels[:, -1].copy()


def _cropland(path: Path, window: Window) -> BoolMask:
    with ExitStack() as stack:
        classes = read_classes(stack.enter_context(open_raster(path)), window)
    inside: BoolMask = classes == CROPLAND
    return inside
