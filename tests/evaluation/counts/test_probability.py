import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics

from seg.evaluation.counts.probability import (
    PERCENTS,
    average_precision,
    count_percents,
    expected_calibration_error,
    precision_recall_curve,
    reliability,
)
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
    curve = {point.threshold: (point.precision, point.recall) for point in precision_recall_curve(histogram)}
    precisions, recalls, thresholds = metrics.precision_recall_curve(wanted, probability)
    for precision, recall, threshold in zip(precisions[:-1], recalls[:-1], thresholds, strict=True):
        assert curve[round(threshold, 2)] == pytest.approx((precision, recall))


@settings(max_examples=80, deadline=None)
@given(percents, valids, masks)
def test_reliability_and_calibration_error_are_those_of_the_definition(
    percent: np.ndarray, valid: np.ndarray, labels: np.ndarray
) -> None:
    bins = reliability(count_percents(percent, valid, labels))
    probability, wanted = known(percent, valid, labels)
    places = np.minimum(np.rint(probability * 100).astype(int) // 10, 9)
    error = 0.0
    for number, found in enumerate(bins):
        inside = places == number
        assert found.pixels == inside.sum()
        if inside.any():
            assert found.mean_probability == pytest.approx(probability[inside].mean())
            assert found.cropland_share == pytest.approx(wanted[inside].mean())
            error += abs(probability[inside].mean() - wanted[inside].mean()) * inside.mean()
        else:
            assert (found.mean_probability, found.cropland_share) == (None, None)
    assert expected_calibration_error(bins) == (pytest.approx(error) if len(wanted) else None)


def test_bins_tile_the_range_and_the_last_holds_certainty() -> None:
    histogram = np.zeros((2, PERCENTS), dtype=np.int64)
    histogram[CROPLAND, 100] = 7
    bins = reliability(histogram)
    assert [one.low for one in bins[1:]] == [one.high for one in bins[:-1]]
    assert (bins[0].low, bins[-1].high, bins[-1].pixels) == (0, 1, 7)
    assert expected_calibration_error(bins) == 0


def test_without_pixels_nothing_is_defined() -> None:
    histogram = np.zeros((2, PERCENTS), dtype=np.int64)
    assert average_precision(histogram) is None
    assert expected_calibration_error(reliability(histogram)) is None
    assert {(point.precision, point.recall) for point in precision_recall_curve(histogram)} == {(None, None)}
