import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics

from seg.calibration.curves import average_precision, expected_calibration_error
from seg.evaluation.counts.probability import PERCENTS, count_percents, percent_precision_recall, percent_reliability
from seg.labels import CROPLAND, IGNORE, OTHER

percents = hnp.arrays(np.uint8, 60, elements=st.sampled_from([0, 1, 9, 10, 50, 51, 89, 90, 99, 100]))
masks = hnp.arrays(np.uint8, 60, elements=st.sampled_from([OTHER, CROPLAND, IGNORE]))
valids = hnp.arrays(bool, 60)


def known(percent: np.ndarray, valid: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    both = valid & (labels != IGNORE)
    return percent[both] / 100, labels[both]


@settings(max_examples=80, deadline=None)
@given(percents, valids, masks)
def test_curve_and_average_precision_equal_scikit_learn(
    percent: np.ndarray, valid: np.ndarray, labels: np.ndarray
) -> None:
    histogram = count_percents(percent, valid, labels)
    probability, wanted = known(percent, valid, labels)
    if CROPLAND not in wanted:
        assert average_precision(histogram) is None
        return
    assert average_precision(histogram) == pytest.approx(metrics.average_precision_score(wanted, probability))
    found = percent_precision_recall(histogram)
    curve = dict(zip(found.threshold.tolist(), zip(found.precision, found.recall, strict=True), strict=True))
    precisions, recalls, thresholds = metrics.precision_recall_curve(wanted, probability)
    for precision, recall, threshold in zip(precisions[:-1], recalls[:-1], thresholds, strict=True):
        assert curve[round(threshold, 2)] == pytest.approx((precision, recall))


@settings(max_examples=80, deadline=None)
@given(percents, valids, masks)
def test_reliability_and_calibration_error_are_those_of_the_definition(
    percent: np.ndarray, valid: np.ndarray, labels: np.ndarray
) -> None:
    curve = percent_reliability(count_percents(percent, valid, labels))
    probability, wanted = known(percent, valid, labels)
    places = np.minimum(np.rint(probability * 100).astype(int) // 10, 9)
    error = 0.0
    for number in range(10):
        inside = places == number
        assert curve.pixels[number] == inside.sum()
        if inside.any():
            assert curve.predicted[number] == pytest.approx(probability[inside].mean())
            assert curve.observed[number] == pytest.approx(wanted[inside].mean())
            error += abs(probability[inside].mean() - wanted[inside].mean()) * inside.mean()
        else:
            assert np.isnan([curve.predicted[number], curve.observed[number]]).all()
    assert expected_calibration_error(curve) == pytest.approx(error)


def test_every_percent_is_in_the_bin_of_its_tens_and_certainty_in_the_last() -> None:
    for percent in range(PERCENTS):
        histogram = np.zeros((2, PERCENTS), dtype=np.int64)
        histogram[CROPLAND, percent] = 7
        filled = min(percent // 10, 9)
        assert percent_reliability(histogram).pixels.tolist() == [7 * (bin == filled) for bin in range(10)]


def test_curves_without_pixels_are_empty() -> None:
    histogram = np.zeros((2, PERCENTS), dtype=np.int64)
    assert average_precision(histogram) is None
    assert expected_calibration_error(percent_reliability(histogram)) == 0
    assert not percent_precision_recall(histogram).mapped.any()
