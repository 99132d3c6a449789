"""Plan of a scene: its blocks, their halo, and the memory that prediction takes."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from seg.inference.area_of_interest import Area
from seg.inference.compute.predictor import Predictor
from seg.inference.planning.block_size import automatic_size, cutting
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
from seg.raster.remote import is_remote, shown_name
from seg.raster.windows import Block, plan_blocks, round_up
from seg.raster.writing.cog import TILE

MEASURING_WORTH = 0.05
"""What measuring a halo may cost of what it could save from, the pixels computed with the whole receptive field."""

FEWEST_SAMPLES = 4
"""Places that a halo is measured at, at least, unless it is asked for."""

FETCHING_WORTH = 0.1
"""How much of a scene on a server measuring a halo may read: it is fetched twice."""

CACHE_SHARE = 4
"""One part in so many of the memory keeps tiles of a scene on a server, so that no halo is fetched again."""


@dataclass(frozen=True)
class Plan:
    """Cuts of a scene.

    Attributes:
        scene: The scene, its area and the identity of the run.
        block_size: Side of a core in pixels.
        halo: Context around a core in pixels.
        halo_origin: How the halo was found, in words.
        blocks: The blocks, row by row; those that have a pixel of the area.
        memory: Bytes that prediction is expected to take in all.
        cache: Bytes of decoded tiles to keep, for a scene on a server; 0 for what GDAL keeps anyway.
    """

    scene: FittedScene
    block_size: int
    halo: int
    halo_origin: str
    blocks: Sequence[Block]
    memory: int
    cache: int = 0

    @property
    def grid(self) -> Grid:
        """The scene's grid."""
        return self.scene.grid

    @property
    def record(self) -> dict[str, object]:
        """All that the pixels of a block depend on, as it is kept with the blocks."""
        return self.scene.identity.dependencies | {"block_size": self.block_size, "halo": self.halo}

    @property
    def pixels(self) -> int:
        """Pixels of the blocks' cores: those of the scene, or of the blocks that the area meets."""
        return sum(int(block.core.width * block.core.height) for block in self.blocks)

    @property
    def redundancy(self) -> float:
        """Pixels computed for each pixel of a core, at least 1."""
        return _computed(self.blocks) / self.pixels


Report = Callable[[Plan, int], None]
"""Is called with the plan and the number of finished blocks."""


def plan_scene(scene: FittedScene, predictor: Predictor, settings: PredictionSettings) -> Plan:
    """The plan of a scene.

    Raises:
        RasterError: The pixels cannot be read.
    """
    grid, area = scene.grid, scene.area
    reader = block_reader(scene, predictor)
    memory = allowed_memory(settings.memory)
    cache = memory // CACHE_SHARE if is_remote(grid.path) else 0
    pixels = pixels_within(memory - cache, predictor)
    shape, alignment = (grid.height, grid.width), predictor.alignment

    def size_for(halo: int) -> int:
        if settings.block_size != "auto":
            return round_up(settings.block_size, alignment)
        return automatic_size(shape, halo, alignment, pixels, TILE)

    size, halo, origin = size_for(0), 0, "none needed"
    if max(shape) > size:
        halo, origin = _halo(grid, reader, predictor, settings, size_for)
        size = size_for(halo)
    expected = expected_memory(cutting(shape, size, halo).largest, predictor) + cache
    return Plan(scene, size, halo, origin, _blocks(grid, size, halo, area), expected, cache)


def _blocks(grid: Grid, size: int, halo: int, area: Area | None) -> list[Block]:
    blocks = plan_blocks(grid.height, grid.width, size, halo)
    return blocks if area is None else [block for block in blocks if area.meets(block.core)]


def _computed(blocks: Sequence[Block]) -> int:
    return sum(int(block.read.width * block.read.height) for block in blocks)


def _halo(
    grid: Grid,
    reader: BlockReader,
    predictor: Predictor,
    settings: PredictionSettings,
    size_for: Callable[[int], int],
) -> tuple[int, str]:
    """The halo of a scene that does not fit into one block, and how it was found."""
    if isinstance(settings.halo, int):
        return round_up(settings.halo, predictor.alignment), "given"
    reach = predictor.receptive_field
    if predictor.bounded and (reach == 0 or settings.halo == "receptive-field"):
        return reach, "the receptive field"
    samples = SAMPLES
    if predictor.bounded and settings.halo == "auto":
        computed = _computed(_blocks(grid, size_for(reach), reach, reader.area))
        samples = samples_within(MEASURING_WORTH * computed, predictor.alignment, reach)
        fetched = sampling_reads(predictor.alignment, reach, samples) if is_remote(grid.path) else 0
        if samples < FEWEST_SAMPLES or fetched > FETCHING_WORTH * computed:
            return reach, "the receptive field"  # measuring would cost more than it saves
    print(f"{shown_name(grid.path)}: measuring how much context the model needs ...", file=sys.stderr, flush=True)
    places = sensitive_samples(grid, reader, predictor, reach, samples)
    halo = measured_halo(predictor, places, reach, settings.tolerance)
    return halo, f"measured, of {reach}"
