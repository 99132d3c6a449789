"""Validation chips in a grid that scores each pixel of a scene exactly once."""

from collections.abc import Mapping
from typing import Generic

import numpy as np
from torch.utils.data import Dataset

from seg.data.loading.worker_watch import watched
from seg.data.sample import Example, Sample, SampleKey, example_of
from seg.data.samples.layers import read_labels
from seg.data.samples.open_rasters import OpenRasters
from seg.data.samples.random_chips import SceneT, chip_name
from seg.labels import IGNORE
from seg.raster.chips import Reading, read_chip
from seg.raster.grid import Grid
from seg.raster.windows import blocks_of, read_spans


class GridChips(Dataset[Example], Generic[SceneT]):
    """Chips whose cores tile the scenes. The halo around a core is context for the network; its labels are ignored.

    All chips of a scene have the same size. The last chip of a row or column starts earlier and scores fewer pixels.

    Args:
        grids: Grid of each scene.
        size: Side of a chip in pixels; a smaller scene is one chip of its own size.
        reading: Settings for reading pixels.
        halo: Context around a core in pixels, less than half of `size`; clipped at the edges of the scene.

    Attributes:
        chips: Scene and block of each chip, scene by scene and row by row.
    """

    def __init__(self, grids: Mapping[SceneT, Grid], size: int, reading: Reading, halo: int = 0) -> None:
        self.chips = [
            (scene, block)
            for scene, grid in grids.items()
            for block in blocks_of(read_spans(grid.height, size, halo), read_spans(grid.width, size, halo))
        ]
        self.reading = reading
        self._rasters = OpenRasters()

    def __len__(self) -> int:
        return len(self.chips)

    def __getitem__(self, key: SampleKey | int) -> Example:
        """Chip of a key; the epoch has no effect.

        Raises:
            RasterError: A file cannot be read, or the mask has unknown values.
        """
        scene, block = self.chips[key if isinstance(key, int) else key.index]
        with watched(chip_name(scene, block.read)):
            pixels = read_chip(self._rasters[scene.image], block.read, self.reading)
            labels = read_labels(self._rasters, scene, block.read, self.reading)
            scored = np.full_like(labels, IGNORE)
            scored[block.core_within_read] = labels[block.core_within_read]
            return example_of(Sample(pixels.image, scored, pixels.valid), self.reading, scene.image.name)
