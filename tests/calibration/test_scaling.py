import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seg.calibration.scaling import IDENTITY, Scaling

SCALINGS = st.builds(Scaling, st.floats(0.3, 5), st.floats(-4, 4))


def test_logits_are_divided_then_shifted() -> None:
    found = Scaling(2.0, -1.0).probability(np.array([2.0, 4.0]))
    np.testing.assert_allclose(found, [0.5, 1 / (1 + math.exp(-1))])


@given(seed=st.integers(0, 10_000), threshold=st.floats(0.005, 0.995), scaling=SCALINGS)
def test_the_same_pixels_lie_above_the_calibrated_threshold(seed: int, threshold: float, scaling: Scaling) -> None:
    logits = torch.randn(4000, generator=torch.Generator().manual_seed(seed)) * 4
    plain = logits.sigmoid().numpy()
    calibrated = (logits / scaling.temperature + scaling.bias).sigmoid().numpy()
    # Logits that float32 cannot distinguish from the threshold, before or after scaling, are ties.
    tie = abs(logits.double().numpy() - math.log(threshold / (1 - threshold))) < tolerance(threshold, scaling)
    assert tie.mean() < 0.5
    np.testing.assert_array_equal((calibrated > scaling.threshold(threshold))[~tie], (plain > threshold)[~tie])


def tolerance(threshold: float, scaling: Scaling) -> float:
    """Largest distance from the threshold at which a logit has the same float32 probability, plain or calibrated."""
    probabilities = ((threshold, 1.0), (scaling.threshold(threshold), scaling.temperature))
    return max(4 * 2.0**-24 * factor / (1 - p) for p, factor in probabilities) + 1e-5


@given(scaling=SCALINGS)
def test_thresholds_of_0_and_1_are_unchanged(scaling: Scaling) -> None:
    assert (scaling.threshold(0), scaling.threshold(1)) == (0, 1)


@given(threshold=st.floats(0, 1))
def test_without_scaling_a_threshold_is_unchanged(threshold: float) -> None:
    assert IDENTITY.threshold(threshold) == threshold


@pytest.mark.parametrize("bias", [-20.0, 20.0])
@pytest.mark.parametrize("threshold", [5e-324, 1e-6, 1 - 1e-6, math.nextafter(1, 0)])
def test_a_threshold_never_becomes_0_or_1_as_float32(threshold: float, bias: float) -> None:
    for temperature in (0.05, 20.0):
        found = Scaling(temperature, bias).threshold(threshold)
        assert 0 < np.float32(found) < 1


def test_a_threshold_near_0_keeps_its_digits() -> None:
    assert Scaling(0.5, -10.0).threshold(1e-6) == pytest.approx(1e-12 * math.exp(-10), rel=1e-5)


def test_a_threshold_rises_with_the_bias_and_the_inverse_restores_it() -> None:
    moved = Scaling(2.0, 1.5).threshold(0.3)
    assert moved > 0.3
    assert Scaling(0.5, -3.0).threshold(moved) == pytest.approx(0.3)
