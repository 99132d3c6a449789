"""Why nothing could be compared, so that the user can mend it."""

import numpy as np

from seg.errors import RasterError
from seg.evaluation.pairs import Pair
from seg.evaluation.reading import open_reference, pair_grid
from seg.evaluation.scene import SceneAccuracy
from seg.evaluation.settings import EvaluationSettings
from seg.labels import IGNORE
from seg.raster.chips import read_band
from seg.raster.grid import open_raster
from seg.raster.windows import window_grid

NAMED_FOLDS = 10


def nothing_compared(scene: SceneAccuracy, settings: EvaluationSettings) -> RasterError:
    """The error to raise when no pixel of a scene has both a label and a mapped class."""
    pair = scene.pair
    reference, within = pair.reference, pair.within
    if scene.unmapped:
        return RasterError(
            f"{pair.prediction}: has no value at any of the {scene.unmapped} labelled pixels compared, "
            f"those of {reference}; give a map that covers them"
        )
    if within is None:
        return RasterError(f"{reference}: holds no labelled pixel, all are {IGNORE} or nodata; give a mask with labels")
    numbers = sorted(_labelled_folds(pair, settings))
    if not numbers:
        return RasterError(
            f"{within.path}: no pixel of any fold has a label in {reference}; give the scene's own folds"
        )
    named = ", ".join(f"{number:g}" for number in numbers[:NAMED_FOLDS]) + (", ..." if numbers[NAMED_FOLDS:] else "")
    return RasterError(
        f"{within.path}: fold {within.fold} has no labelled pixel of {reference}; folds that have labels: {named}"
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
