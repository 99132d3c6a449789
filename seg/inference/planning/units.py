"""Compare a scene's values with the training values, to detect a scene in another unit."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from seg.errors import PackageError, RasterError
from seg.package.description import ModelPackage
from seg.raster.chips import Reading, read_chip
from seg.raster.grid import Grid, open_raster
from seg.raster.sources import reads_server
from seg.terminal.text import first_numbers

SCALE_RATIO = 20
"""Smallest ratio of value ranges that shows another unit. Land cover explains smaller ratios: compared with fields,
clouds are about 10 times brighter, and water is about 10 times darker in some band. Units differ more: reflectance in
0..1 and in 0..10000 by a factor of 10000, decibels and powers by a factor of about 50."""

BYTE_MOST = 255
"""Largest value of 8 bits."""

_SIDE, _PLACES = 64, 4
"""Side of a sampled window in pixels, and number of windows along each side of the scene."""

_FEWEST = 100
"""Smallest number of pixels for the comparison."""

Values = npt.NDArray[np.float64]


def require_unit(
    grid: Grid, bands: Sequence[int], nodata: float | None, models: Sequence[tuple[str, ModelPackage]]
) -> None:
    """Check that a scene is in the unit of the training images.

    A scene is rejected only if sampled values of every band are far outside the training range. A lake or a cloud is
    outside this range in some bands only. Scenes on servers are not sampled, so that their tiles are fetched only once.
    Windows that cannot be read are skipped, since mapping reports them later.

    Args:
        grid: Grid of the scene.
        bands: 1-based bands of the scene in the order of the models.
        nodata: Additional stored value that means "no data", for files that do not declare this value.
        models: Name for messages and description of each model.

    Raises:
        PackageError: The scene is in another unit than the training images, or declares other scales or offsets.
    """
    for name, package in models:
        _require_scaling(grid, bands, name, package)
    if not models or reads_server(grid.path):
        return
    values = sampled_values(grid, bands, nodata)
    if values.shape[1] < _FEWEST:
        return
    for name, package in models:
        if is_other_unit(values, package, grid.dtype):
            medians = np.median(values, axis=1)
            raise PackageError(
                f"{grid.path}: has band medians of {first_numbers(medians)}, but {name} was trained on means of "
                f"{first_numbers(package.mean)}; convert it to the unit of the training, or map it anyway with "
                "--any-unit=true"
            )


def _require_scaling(grid: Grid, bands: Sequence[int], name: str, package: ModelPackage) -> None:
    if not grid.scaling or package.scales is None or package.offsets is None:
        return
    found, wanted = [grid.scaling[band - 1] for band in bands], [*zip(package.scales, package.offsets, strict=True)]
    if found != wanted:
        scales, offsets = (first_numbers(values) for values in zip(*found, strict=True))
        raise PackageError(
            f"{grid.path}: has scales of {scales} and offsets of {offsets}, but {name} was trained on scales of "
            f"{first_numbers(package.scales)} and offsets of {first_numbers(package.offsets)}; "
            "convert the scene, or map it anyway with --any-unit=true"
        )


def is_other_unit(values: Values, package: ModelPackage, dtype: str) -> bool:
    """True if values of every band are far outside the training range of a model.

    Values are far outside if the ranges differ by SCALE_RATIO. They are also far outside if only the scene, or only the
    model, has 8-bit values: an 8-bit scene cannot reach a training mean above 255, and an 8-bit model was not trained
    on medians above 255.

    Args:
        values: (C, N) valid pixels of the scene in stored units.
        package: Description of the model. If all means are 0 and all deviations are 1, the model's unit is unknown.
        dtype: Data type of the scene.
    """
    mean, std = np.asarray(package.mean), np.asarray(package.std)
    if (mean == 0).all() and (std == 1).all():
        return False
    trained = np.abs(mean) + 2 * std
    found = np.percentile(np.abs(values), 98, axis=1)
    if (found * SCALE_RATIO < trained).all() or (found > SCALE_RATIO * trained).all():
        return True
    if dtype == "uint8":
        return bool((mean > BYTE_MOST).all())
    return bool((trained <= BYTE_MOST).all() and (np.median(values, axis=1) > BYTE_MOST).all())


def sampled_values(grid: Grid, bands: Sequence[int], nodata: float | None) -> Values:
    """Valid pixels of some windows spread over a scene, (C, N), without pixels that are 0 in all bands."""
    reading = Reading(bands, [0.0] * len(bands), nodata)
    found = [np.empty((len(bands), 0))]
    with open_raster(grid.path) as dataset:
        for window in _windows(dataset.shape, dataset.block_shapes[0]):
            try:
                chip = read_chip(dataset, window, reading)
            except RasterError:
                continue
            pixels = chip.image[:, chip.valid]
            found.append(pixels[:, pixels.any(axis=0)].astype(np.float64))
    return np.concatenate(found, axis=1)


def _windows(shape: tuple[int, int], tile: tuple[int, int]) -> Iterator[Window]:
    """Windows spread over a raster; each window lies in one tile, if tiles are large enough, to save decoding."""
    tops, lefts = (_starts(length, side) for length, side in zip(shape, tile, strict=True))
    for top, left in itertools.product(tops, lefts):
        yield Window(left, top, min(_SIDE, shape[1]), min(_SIDE, shape[0]))


def _starts(length: int, tile: int) -> list[int]:
    last = max(length - _SIDE, 0)
    starts = (last * (2 * place + 1) // (2 * _PLACES) for place in range(_PLACES))
    return sorted({start - (max(start % tile + _SIDE - tile, 0) if tile >= _SIDE else 0) for start in starts})
