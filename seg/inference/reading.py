"""Read the blocks of a scene: its context whole, and of its core only what is to be mapped."""

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
    """Reads blocks, and counts what of their cores could not be read; for one thread.

    Attributes:
        reading: Which bands, and what an invalid pixel is.
        area: Which pixels are mapped; None for all.
        around_damage: Take what cannot be read for pixels without data.
        damaged: Pixels of cores, within the area, that could not be read so far.
    """

    reading: Reading
    area: Area | None = None
    around_damage: bool = False
    damaged: int = 0

    def open(self, path: Path) -> AbstractContextManager[DatasetReader]:
        """Open the scene; its handle must stay in this thread.

        Raises:
            RasterError: It cannot be opened.
        """
        return open_around_damage(path) if self.around_damage else open_raster(path)

    def read(self, dataset: DatasetReader, block: Block) -> Chip:
        """The pixels that a block reads; in its core, only those of the area are valid.

        Where the file holds nothing, they cost neither reading nor memory.

        Raises:
            RasterError: Pixels cannot be read.
        """
        if holds_nothing(dataset, block.read, self.reading):
            return _empty(block, self.reading)
        core = block.core_within_read
        inside = None if self.area is None else self.area.covers(block.core)
        if self.around_damage:
            chip, lost = read_around_damage(dataset, block.read, self.reading)
            self.damaged += int(np.count_nonzero(lost[core] if inside is None else lost[core] & inside))
        else:
            # The parts of a mosaic are opened only when they are read, and may lie on a server.
            with one_thread() if dataset.driver == "VRT" else nullcontext():
                chip = read_chip(dataset, block.read, self.reading)
        if inside is not None:
            chip.valid[core] &= inside
        return chip


def _empty(block: Block, reading: Reading) -> Chip:
    fill = np.asarray(reading.fill, dtype=np.float32)[:, None, None]
    nothing = np.broadcast_to(np.False_, (block.read.height, block.read.width))
    return Chip(np.broadcast_to(fill, (len(fill), *nothing.shape)), nothing)


def block_reader(scene: FittedScene, predictor: Predictor) -> BlockReader:
    """A reader of the blocks of a scene."""
    identity = scene.identity
    reading = Reading(identity.bands, predictor.fill, identity.nodata)
    return BlockReader(reading, scene.area, around_damage=identity.on_unreadable == "nodata")
