from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg.calibration.calibrate import (
    CalibrationConfig,
    best_f1_threshold,
    calibrate,
    mapped_share,
    unbiased_area_threshold,
)
from seg.calibration.curves import ReliabilityCurve, expected_calibration_error, reliability_curve
from seg.calibration.fitting import fit_scaling
from seg.calibration.histogram import BINS, CENTRES
from seg.calibration.scaling import IDENTITY, Scaling, sigmoid

Make = Callable[..., tuple[np.ndarray, np.ndarray]]
Count = Callable[[np.ndarray, np.ndarray], np.ndarray]

NOTHING = np.zeros((2, BINS), dtype=np.int64)

SCALINGS = st.builds(Scaling, st.floats(0.2, 5), st.floats(-2, 2))


def curve_of(counts: np.ndarray, scaling: Scaling) -> ReliabilityCurve:
    return reliability_curve(counts, scaling.probability(CENTRES))


@pytest.fixture(scope="module")
def halves(calibrated: Make, counted: Count) -> np.ndarray:
    """Counts of logits that are too large by a factor of 3; in one half, the factor is slightly larger."""
    parts = [calibrated(50_000, seed) for seed in (0, 1)]
    return np.stack([counted(logits * factor, crop) for (logits, crop), factor in zip(parts, (3, 3.3), strict=True)])


@pytest.fixture(scope="module")
def shifted(calibrated: Make, counted: Count) -> np.ndarray:
    """Counts of logits that were shifted up by 1 and then multiplied by 2."""
    return np.stack([counted((logits + 1) * 2, crop) for logits, crop in (calibrated(50_000, seed) for seed in (0, 1))])


def test_overconfidence_is_corrected(halves: np.ndarray) -> None:
    found = calibrate(halves, CalibrationConfig(), 0.5)
    assert found.temperature == pytest.approx(3.15, rel=0.02)
    assert found.bias == pytest.approx(0, abs=0.03)
    assert found.ece_before > 0.1
    assert found.ece_after < 0.02
    assert (found.cross_fitted, found.pixels, found.note) == (True, 100_000, "")


def test_a_shift_is_corrected_by_the_bias_and_not_by_the_temperature(shifted: np.ndarray) -> None:
    both, temperature, bias = (
        calibrate(shifted, CalibrationConfig(temperature=first, bias=second), 0.5)
        for first, second in ((True, True), (True, False), (False, True))
    )
    assert (both.temperature, both.bias) == (pytest.approx(2, rel=0.02), pytest.approx(-1, rel=0.03))
    assert both.ece_after < 0.01
    assert min(temperature.ece_after, bias.ece_after) > 0.03
    assert (temperature.bias, bias.temperature) == (0, 1)
    assert both.ece_before == temperature.ece_before == bias.ece_before


def test_each_half_is_scored_with_the_scaling_of_the_other(halves: np.ndarray) -> None:
    first, second = (fit_scaling(half).scaling for half in halves)
    curve = curve_of(halves[0], second) + curve_of(halves[1], first)
    found = calibrate(halves, CalibrationConfig(), 0.5).ece_after
    assert found == pytest.approx(expected_calibration_error(curve))
    assert found > expected_calibration_error(curve_of(halves[0], first) + curve_of(halves[1], second))


def test_a_single_half_is_reported_as_scored_on_itself(halves: np.ndarray) -> None:
    found = calibrate(np.stack([NOTHING, halves[1]]), CalibrationConfig(), 0.5)
    assert not found.cross_fitted
    assert found.ece_after == pytest.approx(
        expected_calibration_error(curve_of(halves[1], fit_scaling(halves[1]).scaling))
    )


def test_each_of_many_parts_is_scored_with_the_scaling_of_all_others(calibrated: Make, counted: Count) -> None:
    samples = [calibrated(20_000, seed) for seed in range(4)]
    parts = np.stack([counted(3 * logits, crop) for logits, crop in samples])
    curves = [curve_of(part, fit_scaling(parts.sum(axis=0) - part, bias=False).scaling) for part in parts]
    wanted = expected_calibration_error(curves[0] + curves[1] + curves[2] + curves[3])
    found = calibrate(np.stack([*parts, NOTHING]), CalibrationConfig(bias=False), 0.5)
    assert (found.ece_after, found.cross_fitted) == (pytest.approx(wanted), True)


def test_a_scaling_that_does_not_help_the_other_half_is_not_used(calibrated: Make, counted: Count) -> None:
    (logits, crop), (others, other_crop) = (calibrated(50_000, seed) for seed in (0, 1))
    halves = np.stack([counted(logits + 2, crop), counted(others - 2, other_crop)])
    found = calibrate(halves, CalibrationConfig(), 0.5)
    assert found.bias == 0
    assert found.ece_after < found.ece_before
    assert "bias left out: no improvement on held-out samples" in found.note


def test_without_temperature_and_bias_nothing_changes(halves: np.ndarray) -> None:
    found = calibrate(halves, CalibrationConfig(temperature=False, bias=False), 0.4)
    assert (found.temperature, found.bias, found.threshold) == (*IDENTITY, 0.4)
    assert found.ece_after == pytest.approx(found.ece_before)


@pytest.mark.parametrize("threshold", [0, 0.2, 0.5, 0.7, 1])
def test_the_kept_threshold_maps_the_same_pixels_as_before_the_scaling(shifted: np.ndarray, threshold: float) -> None:
    counts = shifted.sum(axis=0)
    found = calibrate(shifted, CalibrationConfig(), threshold)
    assert found.threshold == pytest.approx(threshold, abs=1e-9) if threshold in (0, 1) else found.threshold < threshold
    scored = counts[:, sigmoid(CENTRES) > threshold].sum() / counts.sum()
    assert found.mapped_share == pytest.approx(scored)


def test_the_threshold_is_kept_or_is_the_best_for_f1_or_for_the_area(halves: np.ndarray) -> None:
    kept, f1, area = (calibrate(halves, CalibrationConfig(threshold=way), 0.7) for way in ("keep", "f1", "area"))
    assert kept.threshold == fit_scaling(halves.sum(axis=0)).scaling.threshold(0.7) != 0.7
    assert f1.threshold == kept.f1_threshold == f1.f1_threshold
    assert area.threshold == kept.area_threshold
    assert len({kept.threshold, f1.threshold, area.threshold}) == 3
    assert area.mapped_share == pytest.approx(area.labelled_share, abs=1e-3)
    assert kept.mapped_share < kept.labelled_share


@pytest.mark.parametrize("way", ["f1", "area"])
def test_without_cropland_the_threshold_is_kept_and_a_note_says_why(halves: np.ndarray, way: str) -> None:
    lost = halves * np.array([1, 0])[:, None]
    for fits, reason in ((True, "every label is other"), (False, "one label is missing")):
        found = calibrate(lost, CalibrationConfig(temperature=fits, bias=fits, threshold=way), 0.4)
        assert (found.temperature, found.bias, found.threshold, found.note) == (1, 0, 0.4, reason)
        assert (found.f1_threshold, found.area_threshold) == (None, None)


def test_without_any_label_all_figures_are_0() -> None:
    found = calibrate(np.stack([NOTHING, NOTHING]), CalibrationConfig(), 0.5)
    assert (found.ece_before, found.ece_after, found.labelled_share, found.mapped_share, found.pixels) == (0,) * 5
    assert found.note == "no pixel has a label"


def test_a_calibration_is_converted_to_plain_values(halves: np.ndarray) -> None:
    values = calibrate(halves, CalibrationConfig(threshold="f1"), 0.5).plain().values()
    assert {type(value) for value in values} <= {bool, int, float, str, type(None)}


def sample(seed: int, pixels: int = 60) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    cropland = np.arange(pixels) % 3 == 0
    return CENTRES[random.integers(1900, 2100, pixels) + 60 * cropland], cropland


def f1_of(mapped: np.ndarray, cropland: np.ndarray) -> float:
    return 2 * (mapped & cropland).sum() / (mapped.sum() + cropland.sum())


@given(seed=st.integers(0, 10_000), scaling=SCALINGS)
def test_no_other_threshold_has_a_higher_f1(counted: Count, seed: int, scaling: Scaling) -> None:
    logits, cropland = sample(seed)
    threshold = best_f1_threshold(counted(logits, cropland), scaling)
    assert threshold is not None
    found = f1_of(1 / (1 + np.exp(-logits / scaling.temperature - scaling.bias)) > threshold, cropland)
    assert found == pytest.approx(max(f1_of(logits > cut, cropland) for cut in [-99.0, *logits]))


@given(seed=st.integers(0, 10_000), scaling=SCALINGS)
def test_no_other_threshold_maps_an_area_nearer_to_the_true_area(counted: Count, seed: int, scaling: Scaling) -> None:
    logits, cropland = sample(seed)
    threshold = unbiased_area_threshold(counted(logits, cropland), scaling)
    assert threshold is not None
    mapped = 1 / (1 + np.exp(-logits / scaling.temperature - scaling.bias)) > threshold
    wanted = min(abs((logits > cut).sum() - cropland.sum()) for cut in [-99.0, *logits])
    assert abs(mapped.sum() - cropland.sum()) == wanted
    assert mapped_share(counted(logits, cropland), threshold, scaling) == pytest.approx(mapped.mean())


@pytest.mark.parametrize("choose", [best_f1_threshold, unbiased_area_threshold])
def test_among_equal_thresholds_the_nearest_to_one_half_is_chosen(
    counted: Count, choose: Callable[..., float | None]
) -> None:
    separated = np.array([-3.0, -2.0, 2.0, 3.0]), np.array([False, False, True, True])
    assert choose(counted(*separated), Scaling(1.7)) == 0.5
    # The highest threshold between the two probabilities is below one half.
    assert choose(counted(*separated), Scaling(1.0, -5.0)) == pytest.approx(1 / (1 + np.exp(5.0 - 2.0)), rel=0.02)


@pytest.mark.parametrize("choose", [best_f1_threshold, unbiased_area_threshold])
@pytest.mark.parametrize("labels", [[True, True], [False, False], []])
def test_without_both_labels_there_is_no_threshold(
    counted: Count, choose: Callable[..., float | None], labels: list[bool]
) -> None:
    assert choose(counted(np.array([1.0, -1.0])[: len(labels)], np.array(labels, dtype=bool))) is None
