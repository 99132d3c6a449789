import re
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg.calibration.fitting import LARGEST_BIAS, Fit, fit_scaling
from seg.calibration.histogram import BINS, CENTRES
from seg.calibration.scaling import IDENTITY, Scaling

Make = Callable[..., tuple[np.ndarray, np.ndarray]]
Count = Callable[[np.ndarray, np.ndarray], np.ndarray]

PARTS = [(True, False), (False, True), (True, True)]


def loss(counts: np.ndarray, scaling: Scaling) -> float:
    """The mean negative log-likelihood."""
    logits = scaling.logits(CENTRES)
    return float((counts[1] * np.logaddexp(0, -logits) + counts[0] * np.logaddexp(0, logits)).sum() / counts.sum())


@pytest.mark.parametrize("bias", [-1.5, 0.0, 0.7])
@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_a_known_temperature_and_bias_are_found(
    calibrated: Make, counted: Count, temperature: float, bias: float
) -> None:
    logits, cropland = calibrated(400_000)
    found = fit_scaling(counted((logits - bias) * temperature, cropland))
    assert found.scaling == pytest.approx((temperature, bias), rel=0.015, abs=0.01)
    assert found.reason == ""


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_a_known_temperature_is_found_alone(calibrated: Make, counted: Count, temperature: float) -> None:
    logits, cropland = calibrated(400_000)
    found = fit_scaling(counted(logits * temperature, cropland), bias=False)
    assert found == Fit(Scaling(pytest.approx(temperature, rel=0.01), 0.0))


@pytest.mark.parametrize("bias", [-2.0, 0.7])
def test_a_known_bias_is_found_alone(calibrated: Make, counted: Count, bias: float) -> None:
    logits, cropland = calibrated(400_000)
    found = fit_scaling(counted(logits - bias, cropland), temperature=False)
    assert found == Fit(Scaling(1.0, pytest.approx(bias, rel=0.02)))


def test_without_temperature_and_bias_nothing_is_fitted(calibrated: Make, counted: Count) -> None:
    logits, cropland = calibrated(1000)
    assert fit_scaling(counted(3 * logits, cropland), temperature=False, bias=False) == Fit(IDENTITY)


@given(
    seed=st.integers(0, 10_000),
    pixels=st.integers(20, 400),
    spread=st.floats(0.5, 15),
    shift=st.floats(-8, 8),
    part=st.sampled_from(PARTS),
)
def test_no_other_scaling_nearby_has_a_smaller_loss(
    calibrated: Make, counted: Count, seed: int, pixels: int, spread: float, shift: float, part: tuple[bool, bool]
) -> None:
    logits, cropland = calibrated(pixels, seed)
    counts = counted(logits * spread + shift, cropland)
    found = fit_scaling(counts, temperature=part[0], bias=part[1])
    if found.reason:
        return
    temperature, bias = found.scaling
    best = loss(counts, found.scaling)
    for factor, step in ((1.001, 0.0), (1 / 1.001, 0.0), (1.0, 0.001), (1.0, -0.001), (1.001, 0.001)):
        if (factor == 1 or part[0]) and (step == 0 or part[1]):
            assert best <= loss(counts, Scaling(temperature * factor, bias + step)) + 1e-12


@given(seed=st.integers(0, 10_000), share=st.floats(0.001, 0.999), spread=st.floats(0.5, 15))
def test_with_a_bias_the_expected_area_equals_the_cropland(
    counted: Count, seed: int, share: float, spread: float
) -> None:
    random = np.random.default_rng(seed)
    cropland = random.random(3000) < share
    counts = counted(random.normal(cropland * 2.0, 1) * spread, cropland)
    for temperature in (True, False):
        found = fit_scaling(counts, temperature=temperature)
        if not found.reason:
            expected = (counts.sum(axis=0) * found.scaling.probability(CENTRES)).sum()
            assert expected == pytest.approx(cropland.sum(), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(
    ("labels", "reason"),
    [([], "no pixel has a label"), ([1, 1], "every label is cropland"), ([0, 0], "every label is other")],
)
def test_without_both_labels_logits_are_unchanged_and_the_reason_is_given(
    counted: Count, labels: list[int], reason: str, part: tuple[bool, bool]
) -> None:
    counts = counted(np.array([1.0, -2.0])[: len(labels)], np.array(labels, dtype=bool))
    assert fit_scaling(counts, temperature=part[0], bias=part[1]) == Fit(IDENTITY, reason)


@pytest.mark.parametrize(
    ("logits", "cropland", "reason"),
    [
        ([3.0, -3.0, 1.0], [True, False, True], "separate the labels perfectly"),
        ([-3.0, 3.0, -1.0], [True, False, True], "do not predict the labels"),
        ([1.0, 1.0, 2.0, 2.0], [True, False, True, False], "do not predict the labels"),
    ],
)
@pytest.mark.parametrize("bias", [False, True])
def test_without_a_fitting_temperature_logits_are_unchanged_and_the_reason_is_given(
    counted: Count, logits: list[float], cropland: list[bool], reason: str, bias: bool
) -> None:
    found = fit_scaling(counted(np.array(logits), np.array(cropland)), bias=bias)
    assert found.scaling == IDENTITY
    assert reason in found.reason


def test_logits_that_another_threshold_separates_get_a_temperature_without_bias(counted: Count) -> None:
    counts = counted(np.array([-2.0, 1.0, 2.0, 3.0]), np.array([False, False, True, True]))
    found = fit_scaling(counts)
    assert found.reason == "bias left out: the logits separate the labels perfectly"
    assert found.scaling == fit_scaling(counts, bias=False).scaling != IDENTITY


def test_a_constant_logit_gets_the_share_of_cropland_as_its_probability(counted: Count) -> None:
    counts = counted(np.full(100, 1.005), np.arange(100) < 80)
    found = fit_scaling(counts)
    assert found.reason == "bias left out: all logits are equal"
    for scaling in (found.scaling, fit_scaling(counts, temperature=False).scaling):
        assert scaling.probability(np.array([1.005]))[0] == pytest.approx(0.8)


def test_a_bias_with_a_temperature_out_of_bounds_is_not_used(counted: Count) -> None:
    # Two of a thousand pixels are on the wrong side; the other pixels are separated by a hundredth of a logit.
    logits = np.where(np.arange(1000) < 200, 5.005, 5.015)
    cropland = (np.arange(1000) >= 200) ^ np.isin(np.arange(1000), (0, 999))
    found = fit_scaling(counted(logits, cropland))
    assert found.scaling == pytest.approx((5.013 / np.log(4), 0.0), rel=0.01)
    assert re.fullmatch(r"bias left out: temperature would be 0\.0\d+ and bias -\S+, out of bounds", found.reason)


def test_a_bias_out_of_bounds_is_not_used() -> None:
    counts = np.zeros((2, BINS), dtype=np.int64)
    counts[0, 0], counts[1, 0] = 1, 10**6
    assert fit_scaling(counts, temperature=False) == Fit(IDENTITY, f"the bias would exceed {LARGEST_BIAS:g}")


def test_logits_of_0_are_not_scaled() -> None:
    counts = np.zeros((2, BINS), dtype=np.int64)
    counts[:, BINS // 2 - 1 : BINS // 2 + 1] = 5  # for each label, as many pixels just below 0 as just above
    assert fit_scaling(counts).scaling == IDENTITY


def test_a_shift_of_the_logits_changes_only_the_bias(calibrated: Make, counted: Count) -> None:
    logits, cropland = calibrated(20_000)
    width = CENTRES[1] - CENTRES[0]
    plain, moved = (fit_scaling(counted(logits + shift, cropland)).scaling for shift in (0, 100 * width))
    assert moved.temperature == pytest.approx(plain.temperature, rel=1e-6)
    assert moved.bias == pytest.approx(plain.bias - 100 * width / plain.temperature, abs=1e-6)
