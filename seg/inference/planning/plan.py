"""What will be computed: does the scene fit the model, how is it cut, and with how much context."""

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from seg.errors import PackageError
from seg.inference.area_of_interest import Area, area_on
from seg.inference.compute.member import MODEL, Member
from seg.inference.compute.predictor import Predictor
from seg.inference.planning.block_size import automatic_size, cutting
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
from seg.package.description import ModelPackage
from seg.raster.grid import Grid
from seg.raster.remote import is_remote, shown_name
from seg.raster.windows import Block, plan_blocks, round_up
from seg.raster.writing.cog import TILE
from seg.terminal.text import counted

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
    """How a scene is read and cut.

    Attributes:
        grid: The scene's grid.
        bands: 1-based bands in the order the model wants.
        block_size: Side of a core in pixels.
        halo: Context around a core in pixels.
        halo_origin: How the halo was found, in words.
        blocks: The blocks, row by row; those that have a pixel of the area.
        memory: Bytes that prediction is expected to take in all.
        area: What is mapped; None for the whole scene.
        cache: Bytes of decoded tiles to keep, for a scene on a server; 0 for what GDAL keeps anyway.
    """

    grid: Grid
    bands: Sequence[int]
    block_size: int
    halo: int
    halo_origin: str
    blocks: Sequence[Block]
    memory: int
    area: Area | None = None
    cache: int = 0

    @property
    def pixels(self) -> int:
        """Pixels of the blocks' cores: those of the scene, or of the blocks that the area meets."""
        return sum(int(block.core.width * block.core.height) for block in self.blocks)

    @property
    def redundancy(self) -> float:
        """Pixels computed for each pixel of a core, at least 1."""
        return _computed(self.blocks) / self.pixels


def plan_scene(grid: Grid, predictor: Predictor, settings: PredictionSettings) -> Plan:
    """The plan of a scene.

    Raises:
        PackageError: The scene does not fit the model.
        NoOverlapError: The area has no pixel of the scene.
        RasterError: The pixels cannot be read, or the area cannot be brought onto the scene.
        ConfigError: Settings contradict each other.
    """
    bands = common_bands(predictor.members, grid, settings)
    area = area_on(grid, settings.area, settings.area_crs)
    reader = block_reader(grid, bands, predictor, settings, area)
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
    return Plan(grid, bands, size, halo, origin, _blocks(grid, size, halo, area), expected, area, cache)


def _blocks(grid: Grid, size: int, halo: int, area: Area | None) -> list[Block]:
    blocks = plan_blocks(grid.height, grid.width, size, halo)
    return blocks if area is None else [block for block in blocks if area.meets(block.core)]


def _computed(blocks: Sequence[Block]) -> int:
    return sum(int(block.read.width * block.read.height) for block in blocks)


def common_bands(members: Sequence[Member], grid: Grid, settings: PredictionSettings) -> list[int]:
    """The 1-based bands of a scene that each of the models gets.

    Raises:
        PackageError: The scene does not fit one of them, or they would take different bands.
    """
    first, *others = members
    bands = fitting_bands(first.package, grid, settings, first.name)
    for member in others:
        found = fitting_bands(member.package, grid, settings, member.name)
        if found != bands:
            raise PackageError(
                f"{grid.path}: {first.name} would take its bands {bands}, and {member.name} {found}; "
                "models that are averaged get the same: choose them with --bands"
            )
    return bands


def fitting_bands(package: ModelPackage, grid: Grid, settings: PredictionSettings, model: str = MODEL) -> list[int]:
    """The 1-based bands of a scene that a model gets.

    Args:
        package: The model.
        grid: The scene.
        settings: What was asked for.
        model: What messages call the model.

    Raises:
        PackageError: The scene's bands or pixel size do not fit the model.
    """
    bands = settings.bands or _default_bands(package, grid, model)
    if len(bands) != len(package.bands):
        raise PackageError(
            f"{grid.path}: --bands names {counted(len(bands), 'band')}, but {model} wants {_wanted(package)}"
        )
    if not all(1 <= band <= grid.bands for band in bands):
        raise PackageError(
            f"{grid.path}: has {counted(grid.bands, 'band')}, but --bands names {bands}; they count from 1"
        )
    _check_pixel_size(package, grid, settings.pixel_size_ratio, model)
    return bands


def _default_bands(package: ModelPackage, grid: Grid, model: str) -> list[int]:
    """Training's bands in images like those of training; elsewhere only what cannot be mistaken.

    An alpha band that training's images had not says where there is data, and is none itself.
    """
    in_order = list(range(1, len(package.bands) + 1))
    if grid.bands == package.image_bands:
        return list(package.bands)
    carrying = grid.data_bands
    if len(carrying) == package.image_bands:
        return [carrying[band - 1] for band in package.bands]
    if len(carrying) == len(in_order) and list(package.bands) == in_order:
        return carrying
    example = ",".join(str(band) for band in in_order)
    way = f"choose them with --bands=[{example}] or the like, or " if grid.bands >= len(in_order) else ""
    raise PackageError(
        f"{grid.path}: has {counted(grid.bands, 'band')}, but {model} wants {_wanted(package)}; "
        f"{way}use a model for these bands"
    )


def _wanted(package: ModelPackage) -> str:
    return f"{len(package.bands)} ({', '.join(name or 'unnamed' for name in package.band_names)})"


def _check_pixel_size(package: ModelPackage, grid: Grid, largest_ratio: float, model: str) -> None:
    trained, found = package.pixel_size_m, grid.pixel_size_m
    if trained is None or found is None:
        return
    ratio = max(trained / found, found / trained)
    if ratio > largest_ratio:
        raise PackageError(
            f"{grid.path}: has pixels of {found:g} m, but {model} was trained on {trained:g} m; "
            f"resample the scene, or accept the difference with --pixel-size-ratio={math.ceil(ratio * 100) / 100:g}"
        )


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
