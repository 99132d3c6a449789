"""What will be computed: does the scene fit the model, how is it cut, and with how much context."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rasterio.windows import Window

from seg.errors import PackageError
from seg.inference.halo import measured_halo, sample_side
from seg.inference.predictor import Predictor
from seg.inference.settings import PredictionSettings
from seg.package.description import ModelPackage
from seg.raster.chips import FloatImage, Reading, read_chip
from seg.raster.grid import Grid, open_raster
from seg.raster.windows import Block, plan_blocks, round_up

DEFAULT_BLOCK_SIZE = 1024


@dataclass(frozen=True)
class Plan:
    """How a scene is read and cut.

    Attributes:
        grid: The scene's grid.
        bands: 1-based bands in the order the model wants.
        block_size: Side of a core in pixels.
        halo: Context around a core in pixels.
        blocks: The blocks, row by row.
    """

    grid: Grid
    bands: Sequence[int]
    block_size: int
    halo: int
    blocks: Sequence[Block]

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
    wanted = DEFAULT_BLOCK_SIZE if settings.block_size == "auto" else settings.block_size
    size = round_up(wanted, predictor.alignment)
    if max(grid.height, grid.width) <= size:
        halo = 0  # one block holds the whole scene
    elif isinstance(settings.halo, int):
        halo = round_up(settings.halo, predictor.alignment)
    elif settings.halo == "auto" and predictor.package.receptive_field is not None:
        halo = predictor.receptive_field
    else:
        halo = _measured(grid, bands, predictor, settings)
    return Plan(grid, bands, size, halo, plan_blocks(grid.height, grid.width, size, halo))


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


def _measured(grid: Grid, bands: Sequence[int], predictor: Predictor, settings: PredictionSettings) -> int:
    side = sample_side(predictor.alignment, predictor.receptive_field)
    samples = _samples(grid, bands, settings.nodata, predictor, side)
    return measured_halo(predictor, samples, predictor.receptive_field, settings.tolerance)


def _samples(
    grid: Grid, bands: Sequence[int], nodata: float | None, predictor: Predictor, side: int
) -> Iterator[FloatImage]:
    """Up to nine squares spread over the scene, filled up at its edges; those mostly empty are left out."""
    tops, lefts = _spread(grid.height, side), _spread(grid.width, side)
    with open_raster(grid.path) as dataset:
        for top, left in itertools.product(tops, lefts):
            window = Window(left, top, min(side, grid.width - left), min(side, grid.height - top))
            chip = read_chip(dataset, window, Reading(bands, predictor.package.mean, nodata))
            if chip.valid.mean() > 0.5:
                yield predictor.filled_to(chip.image, side, side)


def _spread(length: int, side: int) -> list[int]:
    """Up to three offsets of windows from the start to the end of an axis."""
    last = max(length - side, 0)
    return sorted({0, last // 2, last})
