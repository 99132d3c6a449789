"""What will be computed: does the scene fit the model, how is it cut, and with how much context."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from rasterio.windows import Window

from seg.errors import ConfigError, PackageError
from seg.inference.augmentation import TestTimeAugmentation
from seg.inference.halo import measured_halo, sample_side
from seg.inference.predictor import Predictor
from seg.package import ModelPackage
from seg.raster.chips import FloatImage, read_chip
from seg.raster.grid import Grid, open_raster
from seg.raster.windows import Block, plan_blocks, round_up

DEFAULT_BLOCK_SIZE = 1024


@dataclass(frozen=True, kw_only=True)
class PredictionSettings:
    """How scenes are predicted.

    Args:
        block_size: Side of a block's core in pixels, rounded up to the model's alignment; auto is 1024.
        halo: Context around a core in pixels, rounded up likewise; auto measures how much the model needs.
        tolerance: Largest change of a probability by cutting that a measured halo accepts, 0 to 1.
        tta: Test-time augmentation.
        bands: 1-based bands of the scene in the order the model wants; null for all.
        nodata: A further stored value that means "no data", for files that do not say so themselves.
        threshold: Probability above which a pixel is cropland; null for the model's own.
        pixel_size_ratio: How many times larger or smaller than in training a pixel may be.
    """

    block_size: int | Literal["auto"] = "auto"
    halo: int | Literal["auto"] = "auto"
    tolerance: float = 1 / 255
    tta: TestTimeAugmentation = field(default_factory=TestTimeAugmentation)
    bands: list[int] | None = None
    nodata: float | None = None
    threshold: float | None = None
    pixel_size_ratio: float = 1.5


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
    """The plan of a scene; an automatic halo is measured on its pixels.

    Raises:
        ConfigError: Block size or halo cannot be.
        PackageError: The scene does not fit the model.
        RasterError: Its pixels cannot be read.
    """
    bands = fitting_bands(predictor.package, grid, settings)
    size = DEFAULT_BLOCK_SIZE if settings.block_size == "auto" else settings.block_size
    if size < 1:
        raise ConfigError(f"block-size is {size}; wanted a number of pixels above 0, or auto")
    size = round_up(size, predictor.alignment)
    if settings.halo == "auto":
        one_block = max(grid.height, grid.width) <= size
        halo = 0 if one_block else _measured(grid, bands, predictor, settings)
    elif settings.halo < 0:
        raise ConfigError(f"halo is {settings.halo}; wanted a number of pixels from 0, or auto")
    else:
        halo = round_up(settings.halo, predictor.alignment)
    return Plan(grid, bands, size, halo, plan_blocks(grid.height, grid.width, size, halo))


def fitting_bands(package: ModelPackage, grid: Grid, settings: PredictionSettings) -> list[int]:
    """The 1-based bands of a scene that the model gets.

    Raises:
        PackageError: The scene's bands or pixel size do not fit the model.
    """
    wanted = len(package.mean)
    bands = settings.bands or list(range(1, grid.bands + 1))
    if len(bands) != wanted:
        named = ", ".join(name or "unnamed" for name in package.band_names)
        example = ",".join(str(band) for band in range(1, wanted + 1))
        raise PackageError(
            f"{grid.path}: has {len(bands)} bands to read, but the model wants {wanted} ({named}); "
            f"choose them with --bands=[{example}] or the like, or use a model for these bands"
        )
    if not all(1 <= band <= grid.bands for band in bands):
        raise PackageError(f"{grid.path}: has {grid.bands} bands, but --bands names {bands}; they count from 1")
    _check_pixel_size(package, grid, settings.pixel_size_ratio)
    return bands


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
    limit = predictor.receptive_field
    side = sample_side(predictor.alignment, limit)
    samples = _samples(grid, bands, settings.nodata, predictor, side)
    return measured_halo(predictor, samples, limit, settings.tolerance)


def _samples(
    grid: Grid, bands: Sequence[int], nodata: float | None, predictor: Predictor, side: int
) -> Iterator[FloatImage]:
    """Up to three squares of the scene, filled up where they reach beyond its edge; those mostly empty are left out."""
    with open_raster(grid.path) as dataset:
        for share in (0.5, 0.25, 0.75):
            top, left = max(int(grid.height * share) - side // 2, 0), max(int(grid.width * share) - side // 2, 0)
            window = Window(left, top, min(side, grid.width - left), min(side, grid.height - top))
            chip = read_chip(dataset, window, bands, predictor.package.mean, nodata)
            if chip.valid.mean() > 0.5:
                yield predictor.filled_to(chip.image, side, side)
