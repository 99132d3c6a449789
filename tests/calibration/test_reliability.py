from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics.functional.classification import binary_calibration_error

from seg.calibration.histogram import BINS, CENTRES
from seg.calibration.reliability import expected_calibration_error, reliability_curve
from seg.calibration.scaling import Scaling

Make = Callable[..., tuple[np.ndarray, np.ndarray]]
Count = Callable[[np.ndarray, np.ndarray], np.ndarray]

SCALINGS = st.builds(Scaling, st.floats(0.1, 10), st.floats(-3, 3))


@given(seed=st.integers(0, 10_000), pixels=st.integers(1, 300), scaling=SCALINGS)
def test_the_error_is_that_of_all_pixels_one_by_one(counted: Count, seed: int, pixels: int, scaling: Scaling) -> None:
    random = np.random.default_rng(seed)
    logits, cropland = CENTRES[random.integers(1500, 2500, pixels)], random.random(pixels) < 0.4
    error = expected_calibration_error(reliability_curve(counted(logits, cropland), scaling))
    probability = 1 / (1 + np.exp(-logits / scaling.temperature - scaling.bias))
    place = np.minimum(np.floor(probability * 15), 14)
    wanted = sum(abs((probability - cropland)[place == bin].sum()) for bin in range(15)) / pixels
    assert error == pytest.approx(wanted)


def test_the_error_is_that_of_torchmetrics_but_for_the_width_of_a_bin(honest: Make, counted: Count) -> None:
    logits, cropland = honest(20_000)
    error = expected_calibration_error(reliability_curve(counted(3 * logits, cropland)))
    wanted = binary_calibration_error(torch.from_numpy(3 * logits).sigmoid(), torch.from_numpy(cropland).long(), 15)
    assert error > 0.05
    assert error == pytest.approx(float(wanted), abs=1e-3)


def test_the_curve_shows_predicted_and_observed_of_each_bin(counted: Count) -> None:
    curve = reliability_curve(counted(np.array([-2.0, -2.0, 2.0, 2.0]), np.array([1, 0, 1, 1]) > 0), bins=4)
    np.testing.assert_array_equal(curve.pixels, [2, 0, 0, 2])
    np.testing.assert_array_equal(curve.cropland, [1, 0, 0, 2])
    np.testing.assert_array_equal(curve.observed, [0.5, np.nan, np.nan, 1.0])
    np.testing.assert_allclose(curve.predicted, [0.1192, np.nan, np.nan, 0.8808], atol=1e-3)


def test_curves_add_up(honest: Make, counted: Count) -> None:
    logits, cropland = honest(1000)
    parts = [reliability_curve(counted(logits[part], cropland[part])) for part in (slice(0, 400), slice(400, None))]
    both, whole = parts[0] + parts[1], reliability_curve(counted(logits, cropland))
    np.testing.assert_array_equal(both.pixels, whole.pixels)
    np.testing.assert_array_equal(both.cropland, whole.cropland)
    np.testing.assert_allclose(both.expected, whole.expected)


def test_without_a_pixel_the_error_is_0() -> None:
    assert expected_calibration_error(reliability_curve(np.zeros((2, BINS), dtype=np.int64))) == 0
