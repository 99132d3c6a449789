"""Read the blocks of a scene and screen their cores; pixels of the core outside the area become invalid."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rasterio.io import DatasetReader

from seg.inference.area_of_interest import Area
from seg.inference.compute.predictor import Predictor
from seg.inference.planning.fitting import FittedScene
from seg.inference.screening.applying import ScreenedPixels, screen_core
from seg.inference.screening.features import grown_window
from seg.package.screener import Screener
from seg.raster.chips import BoolMask, Chip, Reading, read_chip
from seg.raster.damaged import is_unwritten, open_damaged, read_damaged
from seg.raster.grid import open_raster
from seg.raster.remote import one_thread
from seg.raster.windows import Block, joined


class BlockData(NamedTuple):
    """Pixels of a block.

    Attributes:
        block: The windows of the block.
        chip: Pixels of the read window; in the core, only pixels of the area are valid.
        screening: Result of screening for the core; None without a screener.
    """

    block: Block
    chip: Chip
    screening: ScreenedPixels | None = None


@dataclass
class BlockReader:
    """Reader of blocks for one thread, which also counts unreadable pixels of cores.

    Attributes:
        reading: Bands, fill values and nodata.
        area: The part to map; None for the whole scene.
        skip_damaged: Treat unreadable pixels as nodata.
        screener: Finds cells that need no computing; None to compute all.
        damaged: Number of unreadable pixels so far, within cores and the area.
        nodata_found: True once a pixel held the nodata value of the `Reading`.
        void_found: True once pixels became nodata because their values are too large for a measurement.
    """

    reading: Reading
    area: Area | None = None
    skip_damaged: bool = False
    screener: Screener | None = None
    damaged: int = 0
    nodata_found: bool = False
    void_found: bool = False

    def open(self, path: Path) -> AbstractContextManager[DatasetReader]:
        """Open the scene; the handle must stay in this thread.

        Raises:
            RasterError: The scene cannot be opened.
        """
        return open_damaged(path) if self.skip_damaged else open_raster(path)

    def read(self, dataset: DatasetReader, block: Block) -> Chip:
        """Read the pixels of a block; in its core, only pixels of the area are valid.

        If a sparse file stores no tile of a block, the block is not read; all its pixels are invalid.

        Raises:
            RasterError: Pixels cannot be read.
        """
        if is_unwritten(dataset, block.read, self.reading):
            self.nodata_found = self.nodata_found or self.reading.nodata == 0
            return _empty(block, self.reading)
        core = block.core_within_read
        inside = None if self.area is None else self.area.covers(block.core)
        chip = self._pixels(dataset, block, inside)
        if inside is not None:
            chip.valid[core] &= inside
        return chip

    def read_screened(self, dataset: DatasetReader, block: Block) -> BlockData:
        """Read the pixels of a block as `read` does, and screen its core.

        Screening reads somewhat beyond the core and does not depend on the area of interest, so a cell has the same
        result in every division into blocks.

        Raises:
            RasterError: Pixels cannot be read.
        """
        if self.screener is None:
            return BlockData(block, self.read(dataset, block))
        window = joined(block.read, grown_window(block.core, dataset.height, dataset.width))
        grown = replace(block, read=window)
        core = grown.core_within_read
        if is_unwritten(dataset, window, self.reading):
            return BlockData(block, self.read(dataset, block))
        inside = None if self.area is None else self.area.covers(block.core)
        pixels = self._pixels(dataset, grown, inside)
        screening = screen_core(self.screener, pixels, window, block.core)
        if inside is not None:
            pixels.valid[core] &= inside
        rows, columns = replace(block, core=block.read, read=window).core_within_read
        return BlockData(block, Chip(pixels.image[:, rows, columns], pixels.valid[rows, columns]), screening)

    def _pixels(self, dataset: DatasetReader, block: Block, inside: BoolMask | None) -> Chip:
        """Pixels of a block's read window with their validity; unreadable pixels count within core and area only."""
        core = block.core_within_read
        if self.skip_damaged:
            chip, lost = read_damaged(dataset, block.read, self.reading)
            self.damaged += int(np.count_nonzero(lost[core] if inside is None else lost[core] & inside))
        else:
            # With several threads, GDAL reports a damaged tile only once, and never reports a failing server.
            # `open_raster` therefore sets one thread for a raster on a server. GDAL opens the source files of a mosaic
            # only when it reads their pixels, so one thread is set here too.
            with one_thread() if dataset.driver == "VRT" else nullcontext():
                chip = read_chip(dataset, block.read, self.reading)
        self.nodata_found = self.nodata_found or chip.nodata_found
        self.void_found = self.void_found or chip.void_found
        return chip


def _empty(block: Block, reading: Reading) -> Chip:
    fill = np.asarray(reading.fill, dtype=np.float32)[:, None, None]
    nothing = np.broadcast_to(np.False_, (block.read.height, block.read.width))
    return Chip(np.broadcast_to(fill, (len(fill), *nothing.shape)), nothing)


def block_reader(scene: FittedScene, predictor: Predictor) -> BlockReader:
    """Reader of a scene's blocks, with the settings of the run's identity."""
    identity = scene.identity
    reading = Reading(identity.bands, predictor.fill, identity.nodata)
    return BlockReader(reading, scene.area, identity.on_unreadable == "nodata", predictor.screener)
