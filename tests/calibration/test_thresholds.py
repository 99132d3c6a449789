from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg.calibration.histogram import BINS, CENTRES
from seg.calibration.scaling import Scaling
from seg.calibration.thresholds import (
    best_f1_threshold,
    mapped_share,
    precision_recall_curve,
    unbiased_area_threshold,
)

Count = Callable[[np.ndarray, np.ndarray], np.ndarray]

SCALINGS = st.builds(Scaling, st.floats(0.2, 5), st.floats(-2, 2))


def sample(seed: int, pixels: int = 60) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    cropland = np.arange(pixels) % 3 == 0
    return CENTRES[random.integers(1900, 2100, pixels) + 60 * cropland], cropland


def f1_of(mapped: np.ndarray, cropland: np.ndarray) -> float:
    return 2 * (mapped & cropland).sum() / (mapped.sum() + cropland.sum())


@given(seed=st.integers(0, 10_000), scaling=SCALINGS)
def test_no_cut_between_pixels_has_a_higher_f1(counted: Count, seed: int, scaling: Scaling) -> None:
    logits, cropland = sample(seed)
    threshold = best_f1_threshold(counted(logits, cropland), scaling)
    assert threshold is not None
    found = f1_of(1 / (1 + np.exp(-logits / scaling.temperature - scaling.bias)) > threshold, cropland)
    assert found == pytest.approx(max(f1_of(logits > cut, cropland) for cut in [-99.0, *logits]))


@given(seed=st.integers(0, 10_000), scaling=SCALINGS)
def test_no_cut_between_pixels_maps_an_area_nearer_to_that_of_cropland(
    counted: Count, seed: int, scaling: Scaling
) -> None:
    logits, cropland = sample(seed)
    threshold = unbiased_area_threshold(counted(logits, cropland), scaling)
    assert threshold is not None
    mapped = 1 / (1 + np.exp(-logits / scaling.temperature - scaling.bias)) > threshold
    wanted = min(abs((logits > cut).sum() - cropland.sum()) for cut in [-99.0, *logits])
    assert abs(mapped.sum() - cropland.sum()) == wanted
    assert mapped_share(counted(logits, cropland), threshold, scaling) == pytest.approx(mapped.mean())


@pytest.mark.parametrize("choose", [best_f1_threshold, unbiased_area_threshold])
def test_of_equal_thresholds_the_one_nearest_to_a_half_is_taken(
    counted: Count, choose: Callable[..., float | None]
) -> None:
    separated = np.array([-3.0, -2.0, 2.0, 3.0]), np.array([False, False, True, True])
    assert choose(counted(*separated), Scaling(1.7)) == 0.5
    # The highest cut between the two is at a probability below a half.
    assert choose(counted(*separated), Scaling(1.0, -5.0)) == pytest.approx(1 / (1 + np.exp(5.0 - 2.0)), rel=0.02)


@pytest.mark.parametrize("choose", [best_f1_threshold, unbiased_area_threshold])
@pytest.mark.parametrize("labels", [[True, True], [False, False], []])
def test_without_both_labels_there_is_none(
    counted: Count, choose: Callable[..., float | None], labels: list[bool]
) -> None:
    assert choose(counted(np.array([1.0, -1.0])[: len(labels)], np.array(labels, dtype=bool))) is None


def test_precision_and_recall_are_those_above_each_threshold(counted: Count) -> None:
    logits, cropland = sample(1)
    curve = precision_recall_curve(counted(logits, cropland), Scaling(2.0, -0.3))
    for place in range(1850, 2200, 17):
        mapped = 1 / (1 + np.exp(0.3 - logits / 2)) > curve.threshold[place]
        if mapped.any():
            assert curve.precision[place] == pytest.approx((mapped & cropland).sum() / mapped.sum())
        assert curve.recall[place] == pytest.approx((mapped & cropland).sum() / cropland.sum())
    assert (curve.recall[0], curve.recall[-1], curve.precision[-1]) == (1, 0, 1)


def test_without_any_cropland_the_curve_is_finite() -> None:
    counts = np.zeros((2, BINS), dtype=np.int64)
    for curve in (precision_recall_curve(counts), precision_recall_curve(counts + np.array([[1], [0]]))):
        assert np.isfinite(curve).all()
        assert not curve.recall.any()
