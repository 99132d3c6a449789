"""Read the blocks of a scene: all of the halo, and only the mapped pixels of the core."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rasterio.io import DatasetReader

from seg.inference.area_of_interest import Area
from seg.inference.compute.predictor import Predictor
from seg.inference.planning.fitting import FittedScene
from seg.raster.chips import Chip, Reading, read_chip
from seg.raster.damaged import holds_nothing, open_around_damage, read_around_damage
from seg.raster.grid import open_raster
from seg.raster.remote import one_thread
from seg.raster.windows import Block


@dataclass
class BlockReader:
    """Reads blocks in one thread, and counts pixels of cores that could not be read.

    Attributes:
        reading: Bands, fill values and nodata.
        area: The part to map; None for the whole scene.
        around_damage: Treat unreadable pixels as nodata.
        damaged: Unreadable pixels so far, within cores and the area.
        nodata_found: True once a pixel held the nodata value of the `Reading`.
        void_found: True once undeclared values beyond any measurement counted as no data.
    """

    reading: Reading
    area: Area | None = None
    around_damage: bool = False
    damaged: int = 0
    nodata_found: bool = False
    void_found: bool = False

    def open(self, path: Path) -> AbstractContextManager[DatasetReader]:
        """Open the scene; the handle must stay in this thread.

        Raises:
            RasterError: The scene cannot be opened.
        """
        return open_around_damage(path) if self.around_damage else open_raster(path)

    def read(self, dataset: DatasetReader, block: Block) -> Chip:
        """Read the pixels of a block; in its core, only pixels of the area are valid.

        Parts of a sparse file that were never written cost neither reading nor memory.

        Raises:
            RasterError: Pixels cannot be read.
        """
        if holds_nothing(dataset, block.read, self.reading):
            self.nodata_found = self.nodata_found or self.reading.nodata == 0
            return _empty(block, self.reading)
        core = block.core_within_read
        inside = None if self.area is None else self.area.covers(block.core)
        if self.around_damage:
            chip, lost = read_around_damage(dataset, block.read, self.reading)
            self.damaged += int(np.count_nonzero(lost[core] if inside is None else lost[core] & inside))
        else:
            # GDAL opens the parts of a mosaic on reading, and they may lie on a server.
            with one_thread() if dataset.driver == "VRT" else nullcontext():
                chip = read_chip(dataset, block.read, self.reading)
        self.nodata_found = self.nodata_found or chip.nodata_found
        self.void_found = self.void_found or chip.void_found
        if inside is not None:
            chip.valid[core] &= inside
        return chip


def _empty(block: Block, reading: Reading) -> Chip:
    fill = np.asarray(reading.fill, dtype=np.float32)[:, None, None]
    nothing = np.broadcast_to(np.False_, (block.read.height, block.read.width))
    return Chip(np.broadcast_to(fill, (len(fill), *nothing.shape)), nothing)


def block_reader(scene: FittedScene, predictor: Predictor) -> BlockReader:
    """The reader of a scene's blocks, as the identity of its run says."""
    identity = scene.identity
    reading = Reading(identity.bands, predictor.fill, identity.nodata)
    return BlockReader(reading, scene.area, around_damage=identity.on_unreadable == "nodata")
