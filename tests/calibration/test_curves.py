from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics.functional.classification import binary_calibration_error

from seg.calibration.curves import (
    average_precision,
    expected_calibration_error,
    precision_recall_curve,
    reliability_curve,
)
from seg.calibration.histogram import BINS, CENTRES, EDGES
from seg.calibration.scaling import IDENTITY, Scaling, sigmoid

Make = Callable[..., tuple[np.ndarray, np.ndarray]]
Count = Callable[[np.ndarray, np.ndarray], np.ndarray]

SCALINGS = st.builds(Scaling, st.floats(0.1, 10), st.floats(-3, 3))


@given(seed=st.integers(0, 10_000), pixels=st.integers(1, 300), scaling=SCALINGS)
def test_the_error_equals_that_of_single_pixels(counted: Count, seed: int, pixels: int, scaling: Scaling) -> None:
    random = np.random.default_rng(seed)
    logits, cropland = CENTRES[random.integers(1500, 2500, pixels)], random.random(pixels) < 0.4
    error = expected_calibration_error(reliability_curve(counted(logits, cropland), scaling.probability(CENTRES)))
    probability = 1 / (1 + np.exp(-logits / scaling.temperature - scaling.bias))
    place = np.minimum(np.floor(probability * 15), 14)
    wanted = sum(abs((probability - cropland)[place == bin].sum()) for bin in range(15)) / pixels
    assert error == pytest.approx(wanted)


def test_the_error_equals_torchmetrics_within_the_width_of_a_bin(calibrated: Make, counted: Count) -> None:
    logits, cropland = calibrated(20_000)
    error = expected_calibration_error(reliability_curve(counted(3 * logits, cropland), sigmoid(CENTRES)))
    wanted = binary_calibration_error(torch.from_numpy(3 * logits).sigmoid(), torch.from_numpy(cropland).long(), 15)
    assert error > 0.05
    assert error == pytest.approx(float(wanted), abs=1e-3)


def test_the_curve_shows_predicted_and_observed_shares_of_each_bin(counted: Count) -> None:
    counts = counted(np.array([-2.0, -2.0, 2.0, 2.0]), np.array([1, 0, 1, 1]) > 0)
    curve = reliability_curve(counts, sigmoid(CENTRES), bins=4)
    np.testing.assert_array_equal(curve.pixels, [2, 0, 0, 2])
    np.testing.assert_array_equal(curve.cropland, [1, 0, 0, 2])
    np.testing.assert_array_equal(curve.observed, [0.5, np.nan, np.nan, 1.0])
    np.testing.assert_allclose(curve.predicted, [0.1192, np.nan, np.nan, 0.8808], atol=1e-3)


def test_curves_add_up(calibrated: Make, counted: Count) -> None:
    logits, cropland = calibrated(1000)
    parts = [counted(logits[part], cropland[part]) for part in (slice(0, 400), slice(400, None))]
    first, second, whole = (
        reliability_curve(counts, sigmoid(CENTRES)) for counts in (*parts, counted(logits, cropland))
    )
    both = first + second
    np.testing.assert_array_equal(both.pixels, whole.pixels)
    np.testing.assert_array_equal(both.cropland, whole.cropland)
    np.testing.assert_allclose(both.expected, whole.expected)


def test_without_a_pixel_the_error_is_0() -> None:
    assert expected_calibration_error(reliability_curve(np.zeros((2, BINS), dtype=np.int64), sigmoid(CENTRES))) == 0


def sample(seed: int, pixels: int = 60) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    cropland = np.arange(pixels) % 3 == 0
    return CENTRES[random.integers(1900, 2100, pixels) + 60 * cropland], cropland


def test_precision_and_recall_are_those_of_the_pixels_above_each_threshold(counted: Count) -> None:
    logits, cropland = sample(1)
    curve = precision_recall_curve(counted(logits, cropland), Scaling(2.0, -0.3).probability(EDGES))
    for place in range(1850, 2200, 17):
        mapped = 1 / (1 + np.exp(0.3 - logits / 2)) > curve.threshold[place]
        if mapped.any():
            assert curve.precision[place] == pytest.approx((mapped & cropland).sum() / mapped.sum())
        assert curve.recall[place] == pytest.approx((mapped & cropland).sum() / cropland.sum())
    assert (curve.recall[0], curve.recall[-1], curve.precision[-1]) == (1, 0, 1)


def test_without_any_cropland_the_curve_is_finite() -> None:
    counts = np.zeros((2, BINS), dtype=np.int64)
    for pixels in (counts, counts + np.array([[1], [0]])):
        curve = precision_recall_curve(pixels, IDENTITY.probability(EDGES))
        assert np.isfinite(curve.precision).all()
        assert not curve.recall.any()
        assert average_precision(pixels) is None
