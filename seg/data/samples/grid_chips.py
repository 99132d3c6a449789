"""Chips for validation: a grid that holds every pixel once, so that scenes of any size are scored exactly."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from rasterio.windows import Window
from torch.utils.data import Dataset

from seg.data.dataset.catalogue import Scene
from seg.data.loading.worker_watch import watched
from seg.data.sample import (
    Example,
    Sample,
    SampleKey,
    example_of,
)
from seg.data.samples.open_rasters import OpenRasters
from seg.data.samples.random_chips import chip_name
from seg.labels import IGNORE
from seg.raster.chips import Reading, read_chip
from seg.raster.classes import read_classes
from seg.raster.grid import Grid
from seg.raster.windows import blocks_of, read_spans


@dataclass(frozen=True)
class GridChip:
    """A chip for validation.

    Attributes:
        scene: Its files.
        core: The pixels that count.
        read: What is read: the core and what lies around it.
    """

    scene: Scene
    core: Window
    read: Window


class GridChips(Dataset[Example]):
    """Every pixel of the scenes once: chips in a grid; pixels around a chip's core give context and are ignored.

    Args:
        grids: The grid of each scene.
        size: Side of a chip; a smaller scene is one chip of its own size.
        reading: How pixels are read.
        halo: Pixels around a core, where there is scene.
    """

    def __init__(self, grids: Mapping[Scene, Grid], size: int, reading: Reading, halo: int = 0) -> None:
        self.chips = [chip for scene, grid in grids.items() for chip in grid_chips(scene, grid, size, halo)]
        self.reading = reading
        self._rasters = OpenRasters()

    def __len__(self) -> int:
        return len(self.chips)

    def __getitem__(self, key: SampleKey | int) -> Example:
        """The chip of a key; the epoch changes nothing.

        Raises:
            RasterError: A file cannot be read, or the mask has unknown values.
        """
        chip = self.chips[key if isinstance(key, int) else key.index]
        scene, read, reading = chip.scene, chip.read, self.reading
        with watched(chip_name(scene, read)):
            pixels = read_chip(self._rasters[scene.image], read, reading)
            labels = read_classes(self._rasters[scene.mask], read, scene.labels)
            top, left = chip.core.row_off - read.row_off, chip.core.col_off - read.col_off
            core = slice(top, top + chip.core.height), slice(left, left + chip.core.width)
            counted = np.full_like(labels, IGNORE)
            counted[core] = labels[core]
            return example_of(Sample(pixels.image, counted, pixels.valid), reading, scene.image.name)


def grid_chips(scene: Scene, grid: Grid, size: int, halo: int = 0) -> Iterator[GridChip]:
    """The chips of a scene, row by row; their cores cover it without overlap.

    All are of one size where the scene is not smaller: those at its ends begin earlier, and count less.

    Args:
        scene: The scene.
        grid: Its image's.
        size: Side of a chip.
        halo: Pixels around a core, where there is scene; less than half of `size`.
    """
    rows, columns = (read_spans(length, size, halo) for length in (grid.height, grid.width))
    for block in blocks_of(rows, columns):
        yield GridChip(scene, block.core, block.read)
