"""Accuracy of maps against references: counts summed over scenes, with intervals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from operator import add

import numpy as np

from seg.errors import RasterError, listed
from seg.evaluation.counts.bootstrap import Bootstrap, bootstrap
from seg.evaluation.counts.boundary import BoundaryCounts, fitting_tolerances
from seg.evaluation.counts.confusion import ConfusionCounts, Histogram
from seg.evaluation.counts.parcels import ParcelCounts
from seg.evaluation.counts.tiles import Counts, WrongWindow, worst_windows
from seg.evaluation.pairs import Pair
from seg.evaluation.reading import open_reference, pair_grid
from seg.evaluation.scene import Measures, SceneAccuracy, measure_scene
from seg.evaluation.settings import EvaluationSettings
from seg.labels import IGNORE
from seg.raster.chips import read_band
from seg.raster.grid import open_raster
from seg.raster.windows import window_grid
from seg.terminal.progress import progress_bar

MeasurePairs = Callable[[Callable[[Pair], SceneAccuracy], Sequence[Pair]], list[SceneAccuracy]]
"""Function that calls another function for each pair, and returns the results in order."""


@dataclass(frozen=True)
class Accuracy:
    """Counts of several scenes. Totals are sums over pixels and parcels, not means over scenes.

    Attributes:
        scenes: Counts of each scene.
        measures: Settings of the comparison.
        bootstrap: Intervals of the scores; None if there are too few scenes or blocks, or if no intervals were
            requested.
    """

    scenes: list[SceneAccuracy]
    measures: Measures
    bootstrap: Bootstrap | None

    @property
    def counts(self) -> ConfusionCounts:
        """Pixels of all scenes by mapped and true class."""
        return reduce(add, (scene.counts for scene in self.scenes))

    @property
    def unmapped(self) -> int:
        """Number of labelled pixels without a mapped class, over all scenes."""
        return sum(scene.unmapped for scene in self.scenes)

    @property
    def boundary(self) -> list[BoundaryCounts]:
        """Boundary counts of all scenes at each tolerance."""
        return [reduce(add, counts) for counts in zip(*(scene.boundary for scene in self.scenes), strict=True)]

    @property
    def has_boundary(self) -> bool:
        """True if the reference has a boundary between cropland and other."""
        return any(counts.reference for counts in self.boundary)

    @property
    def parcels(self) -> ParcelCounts:
        """Parcel counts of all scenes."""
        return reduce(add, (scene.parcels for scene in self.scenes))

    @property
    def strata(self) -> dict[str, Counts]:
        """(5,) counts by stratum, sorted by name."""
        names = sorted({name for scene in self.scenes for name in scene.strata}, key=_natural)
        return {name: reduce(add, (s.strata[name] for s in self.scenes if name in s.strata)) for name in names}

    @property
    def histogram(self) -> Histogram | None:
        """Pixels by label and percent of the scenes with a probability map; None if no scene has one."""
        found = [scene.histogram for scene in self.scenes if scene.histogram is not None]
        return reduce(add, found) if found else None

    @property
    def worst(self) -> list[tuple[SceneAccuracy, WrongWindow]]:
        """Windows with the most wrong pixels among all scenes, worst first."""
        settings = self.measures.settings
        found = [
            (scene, window)
            for scene in self.scenes
            for window in worst_windows(scene.tiles, self.measures.chip_size, settings.worst)
        ]
        return sorted(found, key=lambda one: -one[1].errors)[: settings.worst]


def measure_accuracy(
    pairs: Sequence[Pair], settings: EvaluationSettings, measured: MeasurePairs | None = None
) -> Accuracy:
    """Compare maps with their references, with a progress bar on a terminal.

    Args:
        pairs: The files.
        settings: Options of the comparison.
        measured: Calls a function for each pair, for example on the workers of a cluster; by default, this process
            compares one pair after the other.

    Raises:
        RasterError: A file cannot be read, lies on another grid or holds invalid values, or nothing can be compared.
    """
    grids = [pair_grid(pair) for pair in pairs]
    sizes = [(grid.height, grid.width) for grid in grids]
    tolerances = fitting_tolerances(grids, settings.tolerances)
    measures = Measures(settings, tolerances, settings.fitting_block_size(sizes), settings.fitting_chip_size(sizes))
    if measured is not None:
        scenes = measured(partial(measure_scene, measures=measures), pairs)
    else:
        scenes = _measured_here(pairs, measures, sizes)
    if not any(scene.counts.compared for scene in scenes):
        raise _nothing_compared(scenes[0], settings)
    return Accuracy(scenes, measures, _intervals(scenes, measures))


def _measured_here(pairs: Sequence[Pair], measures: Measures, sizes: Sequence[tuple[int, int]]) -> list[SceneAccuracy]:
    side = measures.settings.window_size
    windows = sum(-(-height // side) * -(-width // side) for height, width in sizes)
    with progress_bar("comparing", windows) as bar:
        return [measure_scene(pair, measures, bar.step) for pair in pairs]


def _intervals(scenes: list[SceneAccuracy], measures: Measures) -> Bootstrap | None:
    by_scene = np.stack([scene.tiles.total for scene in scenes])
    by_block = np.concatenate([scene.tiles.blocks(measures.block_size).reshape(-1, 5) for scene in scenes])
    return bootstrap(by_scene, by_block, measures.block_size, measures.settings)


def _natural(name: str) -> tuple[int, float, str]:
    """Sort key: numbers come first, sorted by value; words come after them."""
    try:
        return 0, float(name), name
    except ValueError:
        return 1, 0.0, name


def _nothing_compared(scene: SceneAccuracy, settings: EvaluationSettings) -> RasterError:
    """Error for a comparison in which no pixel has both a label and a mapped class."""
    pair = scene.pair
    reference, within = pair.reference, pair.within
    if scene.unmapped:
        return RasterError(
            f"{pair.prediction}: has no class at any of the {scene.unmapped} labelled pixels of {reference}; "
            "give a map that covers these pixels"
        )
    if within is None:
        return RasterError(f"{reference}: has no labelled pixel, only {IGNORE} or nodata; give a mask with labels")
    numbers = sorted(_labelled_folds(pair, settings))
    if not numbers:
        return RasterError(
            f"{within.path}: no pixel of any fold has a label in {reference}; give the fold raster of this scene"
        )
    named = listed([f"{number:g}" for number in numbers], most=10)
    return RasterError(
        f"{within.path}: fold {within.fold} has no labelled pixel of {reference}; folds with labels: {named}"
    )


def _labelled_folds(pair: Pair, settings: EvaluationSettings) -> set[float]:
    assert pair.within is not None
    found: set[float] = set()
    grid, side = pair_grid(pair), settings.window_size
    with open_reference(pair.reference, grid, settings) as mask, open_raster(pair.within.path) as folds:
        for window in window_grid(grid.height, grid.width, side, side):
            numbers, valid = read_band(folds, 1, window)
            found.update(np.unique(numbers[valid & (mask.labels(window) != IGNORE)]).tolist())
    return found
