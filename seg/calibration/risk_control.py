"""Conformal risk control of a screener: the largest cut whose expected loss of cropland stays below a bound.

Angelopoulos et al. (2022), Conformal Risk Control, https://doi.org/10.48550/arXiv.2208.02814.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Cells:
    """Cells of held-out scenes.

    Attributes:
        scores: (N,) score of each cell; a cell is screened, so it is not computed, if its score is at
            most the cut.
        cropland: (N,) labelled pixels of cropland in each cell.
        scene: (N,) number of the scene of each cell, from 0.
    """

    scores: Numbers
    cropland: Numbers
    scene: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Control:
    """Cut of a screener, and its effect on the held-out cells.

    Attributes:
        cut: Largest score of a screened cell; -inf if no cell may be screened.
        screened: Share of the held-out cells that are screened, 0 to 1.
        lost: Share of the held-out cropland that lies in screened cells, 0 to 1.
    """

    cut: float
    screened: float
    lost: float


def controlled_cut(cells: Cells, alpha: float, least: int) -> Control:
    """Largest cut at which the expected share of cropland in screened cells is at most alpha.

    The loss of a scene is its screened cropland minus alpha times its cropland; the expected loss of a new scene
    must be at most 0. The paper adds the largest possible loss of a new example to the losses of the held-out
    examples. Here, this would be the loss of a screened scene of cropland only, which would forbid all screening with
    fewer than 1 / alpha scenes. Instead, the largest screened cropland of a single held-out scene is added. It grows
    with the cut, as the paper demands, and bounds the loss of a new scene unless this scene is worse than every
    held-out scene.

    Args:
        cells: Cells of held-out scenes, with which the screener was not trained.
        alpha: Largest expected share of the cropland in screened cells, 0 to 1.
        least: Lower bound, in pixels, of the amount that is added to the losses of the held-out scenes.
    """
    order = np.argsort(cells.scores, kind="stable")
    scores, cropland, scene = cells.scores[order], cells.cropland[order], cells.scene[order]
    lost, total = np.cumsum(cropland), float(cropland.sum())
    reserve = np.maximum(_largest_scene_loss(cropland, scene), least)
    allowed = (lost + reserve <= alpha * total) & np.isfinite(scores)
    # Cells of equal score are screened together.
    ends = np.append(scores[1:] != scores[:-1], True)
    found = np.flatnonzero(allowed & ends)
    if not len(found):
        return Control(-np.inf, 0.0, 0.0)
    last = int(found[-1])
    return Control(float(scores[last]), (last + 1) / len(scores), float(lost[last]) / total)


def _largest_scene_loss(cropland: Numbers, scene: npt.NDArray[np.int64]) -> Numbers:
    """(N,) for each n from 1 to N, the most cropland that a single scene has among the first n cells."""
    of_scene = np.empty(len(cropland))
    for number in np.unique(scene):
        cells = scene == number
        of_scene[cells] = np.cumsum(cropland[cells])
    return np.maximum.accumulate(of_scene)
