"""Read one block of a map: which parcels it shows, which of them are whole, and what it leaves to its neighbours."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rasterio.windows import Window

from seg.labels import CROPLAND
from seg.parcels.corners import Integers, Labels, corners_of
from seg.parcels.growth import clusters, components, grown_parcels
from seg.parcels.pieces import TALLIES, Pieces, chosen
from seg.parcels.settings import PolygonSettings
from seg.raster.chips import BoolMask
from seg.raster.classes import MOST_PERCENT, read_classes, read_percent
from seg.raster.grid import Grid, open_raster
from seg.raster.windows import Block


@dataclass(frozen=True)
class Borders:
    """The labels along the sides of a block, and which pixels belong to one parcel with the pixel beyond.

    Attributes:
        parcels: Labels of parcels in the top row, left column, bottom row and right column.
        units: Labels of units, likewise.
        joins_above: (W,) where the top row and the row above are of one parcel, if both are of any.
        joins_left: (H,) likewise.
    """

    parcels: tuple[Labels, Labels, Labels, Labels]
    units: tuple[Labels, Labels, Labels, Labels]
    joins_above: BoolMask
    joins_left: BoolMask


@dataclass(frozen=True)
class BlockParcels:
    """What a block shows; labels count from 1 within the block.

    Attributes:
        block: Which one.
        whole: The parcels of units that reach no other block.
        parts: Those of the other units.
        reaching: (U,) labels of these other units: a parcel may have several of them in one block, and then counts to
            one, as they are joined elsewhere.
        borders: How they go on.
    """

    block: Block
    whole: Pieces
    parts: Pieces
    reaching: Integers
    borders: Borders


@dataclass(frozen=True)
class MapReader:
    """Reads blocks of a map; each call opens the files anew, as their handles must stay in one thread.

    Attributes:
        grid: The map's.
        settings: How parcels are made.
    """

    grid: Grid
    settings: PolygonSettings

    @property
    def halo(self) -> int:
        """Context that a block needs, in pixels: as far as interiors grow, and the pixels next to the block."""
        return 0 if self.settings.interior is None else self.settings.growth + 1

    @property
    def by_cluster(self) -> bool:
        """Whether units are clusters of parcels that touch, at a corner at least, rather than single parcels."""
        return self.settings.interior is not None or self.settings.simplify > 0

    def read(self, block: Block) -> BlockParcels:
        """What a block shows.

        Raises:
            RasterError: A file cannot be read, or holds values that it should not.
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
        """Labels of the core's parcels, and where its top row and left column join the pixels beyond."""
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
        present = np.flatnonzero(unit_of)  # of a window with a halo, some labels lie beyond the core
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
        low, high = (round(MOST_PERCENT * bound, 6) for bound in self.settings.uncertain)  # 0.57 is 57 percent
        uncertain = valid & (percent >= low) & (percent <= high)
        flat, amounts = parcels.ravel(), (valid, np.where(valid, percent, 0), uncertain)
        sums = [np.bincount(flat, amount.ravel()) for amount in amounts]
        return np.column_stack(sums)[present].astype(np.int64)

    def _has_neighbour(self, core: Window) -> tuple[bool, bool, bool, bool]:
        bottom, right = core.row_off + core.height, core.col_off + core.width
        return core.row_off > 0, core.col_off > 0, bottom < self.grid.height, right < self.grid.width


def _sides(labels: Labels) -> tuple[Labels, Labels, Labels, Labels]:
    return labels[0].copy(), labels[:, 0].copy(), labels[-1].copy(), labels[:, -1].copy()


def _cropland(path: Path, window: Window) -> BoolMask:
    with ExitStack() as stack:
        classes = read_classes(stack.enter_context(open_raster(path)), window)
    inside: BoolMask = classes == CROPLAND
    return inside
