"""Scenes of a place that fit a model, and windows sampled from them."""

import hashlib
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from seg.errors import PackageError, RasterError
from seg.inference.planning.fitting import fitting_bands
from seg.package.description import ModelPackage
from seg.places.settings import PlaceSettings
from seg.raster.chips import Chip, Reading, read_chip
from seg.raster.grid import Grid, open_raster, read_grid
from seg.raster.scene_statistics import MatchedScenes
from seg.raster.windows import window_grid

LOG = logging.getLogger(__name__)

SIDE = 256
"""Side of a sampled window in pixels. 256 is a common size of training chips and exceeds most receptive fields."""

FULL_ENOUGH = 0.5
"""If at least this share of a window's pixels is valid, the window is taken without comparing it with others."""

TRIES = 4
"""At most this number of windows is read to find one window with data."""

Batch = tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]
"""(B, C, SIDE, SIDE) pixels in stored units, and (B, SIDE, SIDE) validity."""


@dataclass(frozen=True)
class Place:
    """Scenes that fit a model.

    Attributes:
        grids: Grid of each scene.
        bands: 1-based bands of every scene in the order of the model.
        nodata: Additional value that means "no data", or None.
        matching: Change of each scene's values to the statistics of the training images; None if the model does not
            normalise each scene.
    """

    grids: Sequence[Grid]
    bands: tuple[int, ...]
    nodata: float | None
    matching: MatchedScenes | None = None

    def read(self, grid: Grid, window: Window, fill: Sequence[float]) -> Chip:
        """Read a window; invalid pixels get the fill value of their band.

        Raises:
            RasterError: The pixels cannot be read.
        """
        with open_raster(grid.path) as dataset:
            return read_chip(dataset, window, Reading(self.bands, fill, self.nodata))

    def network_input(self, grid: Grid, window: Window, fill: Sequence[float]) -> Chip:
        """Read a window as `read`, with the values that the network gets."""
        if self.matching is None:
            return self.read(grid, window, fill)
        with open_raster(grid.path) as dataset:
            return self.matching.read(dataset, grid.path, window)


@dataclass(frozen=True)
class SampledWindow:
    """A window of a place.

    Attributes:
        grid: Grid of its scene.
        window: Pixels of the window, at most SIDE x SIDE.
        sha256: Hash of the valid pixels as float32.
    """

    grid: Grid
    window: Window
    sha256: str


def fitting_place(scenes: Sequence[Path], package: ModelPackage, settings: PlaceSettings) -> Place:
    """Scenes of a place that can be opened; all others are logged as warnings.

    Args:
        scenes: Rasters.
        package: Description of the model.
        settings: Bands, nodata and pixel size that the user set.

    Raises:
        RasterError: No scene can be opened.
        PackageError: A scene does not fit the model, or the wanted bands have different indexes in two scenes.
    """
    grids = []
    for scene in scenes:
        try:
            grids.append(read_grid(scene))
        except RasterError as error:
            if len(scenes) == 1:
                raise
            LOG.warning("left out: %s", error)
    if not grids:
        raise RasterError(f"{scenes[0].parent}: none of its {len(scenes)} scenes can be read; see the messages above")
    found = [tuple(fitting_bands(package, grid, settings.fitting)) for grid in grids]
    for grid, bands in zip(grids, found, strict=True):
        if bands != found[0]:
            raise PackageError(
                f"{grid.path}: the model would read bands {list(bands)}, but bands {list(found[0])} in "
                f"{grids[0].path}; wanted the same order of bands in all scenes; name the bands with --bands"
            )
    return place_of(grids, found[0], package.nodata if settings.nodata is None else settings.nodata, package)


def place_of(grids: Sequence[Grid], bands: tuple[int, ...], nodata: float | None, package: ModelPackage) -> Place:
    """Place of scenes that fit a model; their values are matched if the model normalises each scene.

    Args:
        grids: Grid of each scene.
        bands: 1-based bands of every scene in the order of the model.
        nodata: Additional value that means "no data", or None.
        package: Description of the model.
    """
    matching = MatchedScenes(Reading(bands, package.mean, nodata), package.std) if package.normalises_scenes else None
    return Place(grids, bands, nodata, matching)


def sample_windows(place: Place, count: int) -> list[SampledWindow]:
    """Choose windows with data; each scene gets windows in proportion to its size. The choice is reproducible.

    Args:
        place: The scenes.
        count: Number of windows to choose; fewer are chosen if the scenes have fewer windows with a valid pixel.

    Raises:
        RasterError: No window has a valid pixel, or pixels cannot be read.
    """
    chosen: list[SampledWindow] = []
    for number, share in enumerate(_shares([grid.height * grid.width for grid in place.grids], count)):
        if share:
            chosen += _of_scene(place, place.grids[number], share, np.random.default_rng([0, number]))
    if not chosen:
        have = "has" if len(place.grids) == 1 else "this scene and the other scenes have"
        raise RasterError(
            f"{place.grids[0].path}: {have} no valid pixel in the sampled windows; check the nodata "
            "value of the scene, or --nodata"
        )
    return chosen


def _of_scene(place: Place, grid: Grid, count: int, random: np.random.Generator) -> list[SampledWindow]:
    windows = list(window_grid(grid.height, grid.width, SIDE, SIDE))
    order = random.permutation(len(windows))[: count * TRIES]
    tried: list[tuple[float, int, SampledWindow]] = []
    for rank, place_in_grid in enumerate(order):
        window = windows[place_in_grid]
        chip = place.read(grid, window, [0.0] * len(place.bands))
        share = float(chip.valid.mean())
        if share:
            digest = hashlib.sha256(np.ascontiguousarray(chip.image[:, chip.valid]).tobytes()).hexdigest()
            tried.append((min(share, FULL_ENOUGH), -rank, SampledWindow(grid, window, digest)))
        if sum(full >= FULL_ENOUGH for full, *_ in tried) == count:
            break
    fullest = sorted(tried, key=lambda one: one[:2], reverse=True)[:count]
    return [window for *_, window in fullest]


def _shares(sizes: Sequence[int], count: int) -> list[int]:
    """Number of windows for each scene, in proportion to its size.

    If there are more scenes than windows, some scenes get no window; these are spread evenly over the list.
    """
    total = sum(sizes)
    ends = [(2 * end * count + total) // (2 * total) for end in accumulate(sizes)]  # rounded, in whole numbers
    return [end - start for start, end in pairwise([0, *ends])]


def scene_hashes(windows: Sequence[SampledWindow]) -> dict[str, str]:
    """SHA-256 of each scene's sampled pixels by file name, or by path if several scenes have the same file name."""
    parts: dict[Path, list[str]] = {}
    for window in windows:
        parts.setdefault(window.grid.path, []).append(window.sha256)
    names = Counter(path.name for path in parts)
    return {
        path.name if names[path.name] == 1 else str(path): hashlib.sha256("".join(hashes).encode()).hexdigest()
        for path, hashes in parts.items()
    }


def read_batches(place: Place, windows: Sequence[SampledWindow], fill: Sequence[float], size: int) -> Iterator[Batch]:
    """Read windows in batches; smaller windows are padded with invalid pixels at the bottom and on the right.

    Args:
        place: The scenes.
        windows: Windows of the place.
        fill: Value of each band for invalid pixels.
        size: Number of windows in a batch.
    """
    for start in range(0, len(windows), size):
        part = windows[start : start + size]
        images = np.empty((len(part), len(place.bands), SIDE, SIDE), dtype=np.float32)
        images[:] = np.asarray(fill, dtype=np.float32)[:, None, None]
        valid = np.zeros((len(part), SIDE, SIDE), dtype=bool)
        for number, window in enumerate(part):
            chip = place.network_input(window.grid, window.window, fill)
            height, width = chip.valid.shape
            images[number, :, :height, :width] = chip.image
            valid[number, :height, :width] = chip.valid
        yield images, valid
