import numpy as np
import pytest

from seg.calibration.risk_control import Cells, Control, controlled_cut


def cells(scores: list[float], cropland: list[float], scene: list[int]) -> Cells:
    return Cells(np.array(scores), np.array(cropland), np.array(scene))


def test_the_cut_leaves_room_for_the_largest_loss_of_a_scene() -> None:
    # Of 1000 pixels of cropland, 100 may be lost.
    scores, cropland, scene = [-4.0, -3, -2, -1, 0], [10.0, 20, 25, 40, 905], [0, 1, 0, 2, 3]
    # Lost up to each score: 10, 30, 55, 95; with the largest loss of a scene: 20, 50, 90, 135.
    found = controlled_cut(cells(scores, cropland, scene), 0.1, least=1)
    assert found == Control(-2.0, 0.6, 0.055)
    assert controlled_cut(cells(scores, cropland, scene), 0.1, least=60).cut == -3
    assert controlled_cut(cells(scores, cropland, scene), 0.1, least=101) == Control(-np.inf, 0, 0)


def test_cells_of_equal_score_are_screened_together_or_not_at_all() -> None:
    scores, cropland, scene = [-4.0, -2, -2, -2, 0], [0.0, 0, 0, 99, 901], [0, 1, 2, 3, 4]
    assert controlled_cut(cells(scores, cropland, scene), 0.1, least=1).cut == -4


def test_cells_that_must_not_be_screened_do_not_set_the_cut() -> None:
    scores, cropland, scene = [-np.inf, -4, np.inf, np.inf], [0.0, 0, 0, 1000], [0, 0, 1, 1]
    assert controlled_cut(cells(scores, cropland, scene), 0.5, least=1) == Control(-4.0, 0.5, 0.0)


def simulated(random: np.random.Generator, scenes: int, each: int = 40) -> Cells:
    """Scenes of cells whose share of cropland grows with the score; scenes differ in their mean score."""
    scene = np.repeat(np.arange(scenes), each)
    scores = random.normal(random.normal(0, 1, scenes)[scene], 1.5)
    share = random.beta(1, 1 + 9 * np.exp(-scores))
    return Cells(scores, np.rint(100 * share), scene)


@pytest.mark.parametrize("alpha", [0.02, 0.1])
def test_the_mean_loss_of_new_scenes_stays_below_alpha(alpha: float) -> None:
    random = np.random.default_rng(1)
    lost, total, screened = 0.0, 0.0, []
    for _ in range(150):
        cut = controlled_cut(simulated(random, 30), alpha, least=100).cut
        new = simulated(random, 30)
        lost, total = lost + float(new.cropland[new.scores <= cut].sum()), total + float(new.cropland.sum())
        screened.append(float((new.scores <= cut).mean()))
    assert 0.2 * alpha < lost / total <= alpha
    assert np.mean(screened) > 0.05
