"""What will be computed: does the scene fit the model, how is it cut, and with how much context."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from seg.errors import PackageError
from seg.inference.block_size import automatic_size, cutting
from seg.inference.halo import measured_halo
from seg.inference.memory import allowed_memory, expected_memory, pixels_within
from seg.inference.predictor import Predictor
from seg.inference.sampling import sampling_cost, sensitive_samples
from seg.inference.settings import PredictionSettings
from seg.package.description import ModelPackage
from seg.raster.chips import Reading
from seg.raster.cog import TILE
from seg.raster.grid import Grid
from seg.raster.windows import Block, plan_blocks, round_up

MEASURING_WORTH = 0.03
"""What measuring a halo may cost of what it could save from, the pixels computed with the whole receptive field."""


@dataclass(frozen=True)
class Plan:
    """How a scene is read and cut.

    Attributes:
        grid: The scene's grid.
        bands: 1-based bands in the order the model wants.
        block_size: Side of a core in pixels.
        halo: Context around a core in pixels.
        halo_origin: How the halo was found, in words.
        blocks: The blocks, row by row.
        memory: Bytes that prediction is expected to take in all.
    """

    grid: Grid
    bands: Sequence[int]
    block_size: int
    halo: int
    halo_origin: str
    blocks: Sequence[Block]
    memory: int

    @property
    def redundancy(self) -> float:
        """Pixels computed for each pixel of the scene, at least 1."""
        computed = sum(int(block.read.width * block.read.height) for block in self.blocks)
        return computed / (self.grid.width * self.grid.height)


def plan_scene(grid: Grid, predictor: Predictor, settings: PredictionSettings) -> Plan:
    """The plan of a scene.

    Raises:
        PackageError: The scene does not fit the model.
        RasterError: Its pixels cannot be read.
    """
    bands = fitting_bands(predictor.package, grid, settings)
    pixels = pixels_within(allowed_memory(settings.memory), predictor)
    shape, alignment = (grid.height, grid.width), predictor.alignment

    def size_for(halo: int) -> int:
        if settings.block_size != "auto":
            return round_up(settings.block_size, alignment)
        return automatic_size(shape, halo, alignment, pixels, TILE)

    size, halo, origin = size_for(0), 0, "none needed"
    if max(shape) > size:
        halo, origin = _halo(grid, bands, predictor, settings, size_for)
        size = size_for(halo)
    blocks = plan_blocks(*shape, size, halo)
    return Plan(grid, bands, size, halo, origin, blocks, expected_memory(cutting(shape, size, halo).largest, predictor))


def fitting_bands(package: ModelPackage, grid: Grid, settings: PredictionSettings) -> list[int]:
    """The 1-based bands of a scene that the model gets.

    Raises:
        PackageError: The scene's bands or pixel size do not fit the model.
    """
    bands = settings.bands or _default_bands(package, grid)
    if len(bands) != len(package.bands):
        raise PackageError(
            f"{grid.path}: --bands names {counted(len(bands), 'band')}, but the model wants {_wanted(package)}"
        )
    if not all(1 <= band <= grid.bands for band in bands):
        raise PackageError(
            f"{grid.path}: has {counted(grid.bands, 'band')}, but --bands names {bands}; they count from 1"
        )
    _check_pixel_size(package, grid, settings.pixel_size_ratio)
    return bands


def counted(number: int, noun: str) -> str:
    """A number with its noun: "1 block", "2 blocks"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _default_bands(package: ModelPackage, grid: Grid) -> list[int]:
    """Training's bands in images like those of training; elsewhere only what cannot be mistaken."""
    in_order = list(range(1, len(package.bands) + 1))
    if grid.bands == package.image_bands:
        return list(package.bands)
    if grid.bands == len(in_order) and list(package.bands) == in_order:
        return in_order
    example = ",".join(str(band) for band in in_order)
    way = f"choose them with --bands=[{example}] or the like, or " if grid.bands >= len(in_order) else ""
    raise PackageError(
        f"{grid.path}: has {counted(grid.bands, 'band')}, but the model wants {_wanted(package)}; "
        f"{way}use a model for these bands"
    )


def _wanted(package: ModelPackage) -> str:
    return f"{len(package.bands)} ({', '.join(name or 'unnamed' for name in package.band_names)})"


def _check_pixel_size(package: ModelPackage, grid: Grid, largest_ratio: float) -> None:
    trained, found = package.pixel_size_m, grid.pixel_size_m
    if trained is None or found is None:
        return
    ratio = max(trained / found, found / trained)
    if ratio > largest_ratio:
        raise PackageError(
            f"{grid.path}: has pixels of {found:g} m, but the model was trained on {trained:g} m; "
            f"resample the scene, or accept the difference with --pixel-size-ratio={math.ceil(ratio * 100) / 100:g}"
        )


def _halo(
    grid: Grid,
    bands: Sequence[int],
    predictor: Predictor,
    settings: PredictionSettings,
    size_for: Callable[[int], int],
) -> tuple[int, str]:
    """The halo of a scene that does not fit into one block, and how it was found."""
    if isinstance(settings.halo, int):
        return round_up(settings.halo, predictor.alignment), "given"
    reach = predictor.receptive_field
    bounded = predictor.package.receptive_field is not None
    if bounded and (reach == 0 or settings.halo == "receptive-field"):
        return reach, "the receptive field"
    if bounded and settings.halo == "auto":
        computed = cutting((grid.height, grid.width), size_for(reach), reach).computed
        if sampling_cost(predictor.alignment, reach) > MEASURING_WORTH * computed:
            return reach, "the receptive field"  # measuring would cost more than it saves
    reading = Reading(bands, predictor.package.mean, settings.nodata)
    halo = measured_halo(predictor, sensitive_samples(grid, reading, predictor, reach), reach, settings.tolerance)
    return halo, f"measured, of {reach}"
