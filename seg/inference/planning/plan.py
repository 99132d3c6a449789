"""Plan of a scene: its blocks, their halo, and the expected memory."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from seg.inference.area_of_interest import Area
from seg.inference.compute.predictor import Predictor
from seg.inference.planning.block_size import USUAL, BlockSize, automatic_size, cutting, square, usual_size
from seg.inference.planning.fitting import FittedScene
from seg.inference.planning.halo import (
    SAMPLES,
    measured_halo,
    samples_within,
    sampling_reads,
    sensitive_samples,
)
from seg.inference.planning.memory import allowed_memory, expected_memory, pixels_within
from seg.inference.reading import BlockReader, block_reader
from seg.inference.settings import PredictionSettings
from seg.raster.grid import Grid
from seg.raster.remote import shown_name
from seg.raster.sources import reads_server
from seg.raster.windows import Block, blocks_of, round_up

LOG = logging.getLogger(__name__)

MEASURING_WORTH = 0.05
"""Largest cost of a halo measurement, as a share of the pixels computed with the whole receptive field as halo."""

FEWEST_SAMPLES = 4
"""Minimum number of samples for a halo measurement that starts automatically."""

FETCHING_WORTH = 0.1
"""Largest share of a scene on a server that a halo measurement may read; these pixels are fetched twice."""

CACHE_SHARE = 4
"""For a scene on a server, the memory limit divided by this number is the size of the tile cache. The cache keeps
halos from being fetched twice."""


@dataclass(frozen=True)
class Plan:
    """The blocks of a scene.

    Attributes:
        scene: The scene, its area and the identity of the run.
        block_size: Size of the blocks.
        halo: Context around a core in pixels.
        halo_origin: Origin of the halo, as text for the user.
        blocks: Blocks that have a pixel of the area, row by row.
        memory: Bytes that prediction is expected to take in total.
        cache: Bytes of decoded tiles to cache, for a scene on a server; 0 for the usual cache.
        divided: True if the scene has several blocks. If several processes map the scene, `blocks` holds the blocks of
            one process.
    """

    scene: FittedScene
    block_size: BlockSize
    halo: int
    halo_origin: str
    blocks: Sequence[Block]
    memory: int
    cache: int = 0
    divided: bool = True

    @property
    def grid(self) -> Grid:
        """The scene's grid."""
        return self.scene.grid

    @property
    def record(self) -> dict[str, object]:
        """Everything that the pixels of a block depend on, as stored with the blocks."""
        return self.scene.identity.dependencies | {"block_size": self.block_size.record, "halo": self.halo}

    @property
    def pixels(self) -> int:
        """Number of pixels in the cores of all blocks."""
        return sum(int(block.core.width * block.core.height) for block in self.blocks)

    @property
    def redundancy(self) -> float:
        """Ratio of computed pixels to core pixels, at least 1."""
        return _computed(self.blocks) / self.pixels


Report = Callable[[Plan, int], None]
"""Function called with the plan and the number of finished blocks."""


def plan_scene(
    scene: FittedScene, predictor: Predictor, settings: PredictionSettings, kept: BlockSize | None = None
) -> Plan:
    """Choose the block size and the halo of a scene within the memory limit.

    Args:
        scene: The scene, fitted to the models.
        predictor: Models and augmentation.
        settings: Block size, halo, tolerance and memory.
        kept: Block size of an unfinished run that is resumed; None if there is no such run.

    Raises:
        RasterError: The pixels for measuring the halo cannot be read.
    """
    grid, area = scene.grid, scene.area
    reader = block_reader(scene, predictor)
    memory = allowed_memory(settings.memory, predictor)
    cache = memory // CACHE_SHARE if reads_server(grid.path) else 0
    pixels = pixels_within(memory - cache, predictor)
    shape, alignment = (grid.height, grid.width), predictor.alignment

    def size_for(halo: int) -> BlockSize:
        if kept is not None:
            return kept
        if settings.block_size != "auto":
            return square(round_up(settings.block_size, alignment))
        if predictor.receptive_field == 0:
            return usual_size(shape, alignment, pixels)
        # Large blocks would compute many pixels outside the area.
        most = pixels if area is None else min(pixels, (USUAL + 2 * halo) ** 2)
        return automatic_size(shape, halo, alignment, most)

    size, halo, origin = size_for(0), 0, "none needed"
    if not size.holds(shape):
        halo, origin = _halo(grid, reader, predictor, settings, size_for)
        size = size_for(halo)
    expected = expected_memory(cutting(shape, size, halo).largest, predictor) + cache
    blocks = mapped_blocks(grid, size, halo, area)
    return Plan(scene, size, halo, origin, blocks, expected, cache, len(blocks) > 1)


def mapped_blocks(grid: Grid, size: BlockSize, halo: int, area: Area | None) -> list[Block]:
    """Blocks of a scene that have a pixel of the area, row by row."""
    blocks = blocks_of(*size.spans((grid.height, grid.width), halo))
    return blocks if area is None else [block for block in blocks if area.intersects(block.core)]


def _computed(blocks: Sequence[Block]) -> int:
    return sum(int(block.read.width * block.read.height) for block in blocks)


def _halo(
    grid: Grid,
    reader: BlockReader,
    predictor: Predictor,
    settings: PredictionSettings,
    size_for: Callable[[int], BlockSize],
) -> tuple[int, str]:
    """Halo of a scene that does not fit into one block, and its origin as text."""
    if isinstance(settings.halo, int):
        return round_up(settings.halo, predictor.alignment), "given"
    reach = predictor.receptive_field
    if predictor.bounded and (reach == 0 or settings.halo == "receptive-field"):
        return reach, "the receptive field"
    samples = SAMPLES
    if predictor.bounded and settings.halo == "auto":
        computed = _computed(mapped_blocks(grid, size_for(reach), reach, reader.area))
        samples = samples_within(MEASURING_WORTH * computed, predictor.alignment, reach)
        fetched = sampling_reads(predictor.alignment, reach, samples) if reads_server(grid.path) else 0
        if samples < FEWEST_SAMPLES or fetched > FETCHING_WORTH * computed:
            return reach, "the receptive field"  # A measurement could cost more than it saves.
    LOG.info("%s: measuring how much context the model needs ...", shown_name(grid.path))
    places = sensitive_samples(grid, reader, predictor, reach, samples)
    halo = measured_halo(predictor, places, reach, settings.tolerance)
    return halo, f"measured; the receptive field is {reach}" if predictor.bounded else f"measured; at most {reach}"
