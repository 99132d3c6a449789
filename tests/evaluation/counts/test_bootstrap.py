import numpy as np
import pytest

from seg.evaluation.counts.bootstrap import bootstrap, score_intervals
from seg.evaluation.counts.confusion import ConfusionCounts
from seg.evaluation.settings import EvaluationSettings


def units(number: int, seed: int = 0) -> np.ndarray:
    """Counts of blocks; the share of right pixels differs between blocks and is about 0.8."""
    random = np.random.default_rng(seed)
    right = random.normal(800, 50, number).astype(int)
    return np.stack([right // 2, (1000 - right) // 2, (1000 - right) // 2, right // 2, right * 0], axis=1)


def test_interval_of_overall_accuracy_agrees_with_the_normal_distribution() -> None:
    blocks = units(400)
    low, high = score_intervals(blocks, 2000, 0)["overall_accuracy"]
    shares = (blocks[:, 0] + blocks[:, 3]) / blocks.sum(axis=1)
    half = 1.96 * shares.std(ddof=1) / np.sqrt(len(shares))
    assert low == pytest.approx(shares.mean() - half, abs=0.1 * half)
    assert high == pytest.approx(shares.mean() + half, abs=0.1 * half)


def test_intervals_cover_the_truth_at_their_confidence() -> None:
    covered = 0
    for seed in range(200):
        low, high = score_intervals(units(40, seed), 200, seed)["overall_accuracy"]
        covered += low <= 0.8 - 0.0005 <= high  # whole pixels are rounded down
    assert 0.88 <= covered / 200 <= 0.99


def test_intervals_depend_on_the_seed() -> None:
    assert score_intervals(units(9), 100, 3) == score_intervals(units(9), 100, 3)
    assert score_intervals(units(9), 100, 3) != score_intervals(units(9), 100, 4)


def test_every_score_has_an_interval_around_its_value() -> None:
    blocks = units(30)
    intervals = score_intervals(blocks, 300, 0)
    for name, value in ConfusionCounts(*blocks.sum(axis=0)[:4].tolist()).scores().items():
        low, high = intervals[name]
        assert value is not None
        assert low < value < high


def test_score_undefined_in_every_draw_has_no_interval() -> None:
    only_other = np.array([[0, 0, 0, 10, 0]] * 8)
    assert score_intervals(only_other, 50, 0) == {"overall_accuracy": (1, 1)}


@pytest.mark.parametrize(
    ("scenes", "blocks", "wanted", "unit"),
    [
        (10, 50, "auto", ("scene", 10, None)),
        (9, 50, "auto", ("block", 50, 256)),
        (10, 50, "block", ("block", 50, 256)),
        (6, 50, "scene", ("scene", 6, None)),
        (4, 50, "scene", None),
        (1, 4, "auto", None),
    ],
)
def test_scenes_are_drawn_if_there_are_enough(
    scenes: int, blocks: int, wanted: str, unit: tuple[str, int, int | None] | None
) -> None:
    found = bootstrap(units(scenes), units(blocks), 256, EvaluationSettings(bootstrap=20, bootstrap_unit=wanted))
    assert (found and (found.unit, found.units, found.block_size)) == unit


def test_blocks_without_compared_pixels_are_not_drawn() -> None:
    blocks = np.concatenate([units(6), [[0, 0, 0, 0, 9]] * 20])
    found = bootstrap(units(1), blocks, 256, EvaluationSettings(bootstrap=20))
    assert found is not None
    assert found.units == 6


def test_zero_draws_give_no_intervals() -> None:
    assert bootstrap(units(20), units(50), 256, EvaluationSettings(bootstrap=0)) is None
