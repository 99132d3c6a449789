import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics
from torch import Tensor
from torchmetrics.functional import classification as reference

from seg.calibration.curves import average_precision, expected_calibration_error
from seg.evaluation.counts.confusion import (
    PERCENTS,
    ConfusionCounts,
    count_percents,
    count_pixels,
    percent_precision_recall,
    percent_reliability,
)
from seg.labels import CROPLAND, IGNORE, OTHER

REFERENCES: dict[str, Callable[..., Tensor]] = {
    "iou": reference.binary_jaccard_index,
    "f1": reference.binary_f1_score,
    "precision": reference.binary_precision,
    "recall": reference.binary_recall,
    "overall_accuracy": reference.binary_accuracy,
    "kappa": reference.binary_cohen_kappa,
}

SCIKIT_LEARN: dict[str, Callable[..., float]] = {
    "iou": metrics.jaccard_score,
    "f1": metrics.f1_score,
    "precision": metrics.precision_score,
    "recall": metrics.recall_score,
    "overall_accuracy": metrics.accuracy_score,
    "kappa": metrics.cohen_kappa_score,
    "mcc": metrics.matthews_corrcoef,
}

masks = hnp.arrays(np.uint8, 40, elements=st.sampled_from([OTHER, CROPLAND, IGNORE]))
maps = hnp.arrays(np.uint8, 40, elements=st.sampled_from([OTHER, CROPLAND]))
pixels = st.integers(0, 10**15)


@settings(max_examples=50, deadline=None)
@given(maps, masks)
def test_scores_equal_torchmetrics_wherever_it_defines_them(mapped: np.ndarray, labels: np.ndarray) -> None:
    scores = count_pixels(mapped, labels).scores()
    for name, score in REFERENCES.items():
        value = score(torch.from_numpy(mapped), torch.from_numpy(labels), ignore_index=IGNORE).item()
        if scores[name] is not None and not math.isnan(value):
            assert scores[name] == pytest.approx(value, abs=1e-6), name


@settings(max_examples=100, deadline=None)
@given(maps, masks)
def test_scores_equal_scikit_learn(mapped: np.ndarray, labels: np.ndarray) -> None:
    known = labels != IGNORE
    here, wanted = mapped[known], labels[known]
    scores = count_pixels(mapped, labels).scores()
    for name, score in SCIKIT_LEARN.items():
        if scores[name] is not None:
            assert scores[name] == pytest.approx(score(wanted, here)), name


def test_pixels_without_a_class_or_a_label_are_not_counted() -> None:
    mapped = np.array([CROPLAND, IGNORE, IGNORE, CROPLAND, OTHER, OTHER, CROPLAND], dtype=np.uint8)
    labels = np.array([IGNORE, CROPLAND, IGNORE, CROPLAND, CROPLAND, OTHER, OTHER], dtype=np.uint8)
    assert count_pixels(mapped, labels) == ConfusionCounts(tp=1, fp=1, fn=1, tn=1)


@given(pixels, pixels, pixels, pixels)
def test_scores_stay_in_range_at_any_size(tp: int, fp: int, fn: int, tn: int) -> None:
    for name, score in ConfusionCounts(tp, fp, fn, tn).scores().items():
        assert score is None or (-1 if name in {"kappa", "mcc"} else 0) <= score <= 1


@pytest.mark.parametrize(
    ("counts", "mcc"),
    [
        (ConfusionCounts(tp=6_480_310_282_347_491, tn=9_626_384_033_614_331), 1.0),
        (ConfusionCounts(fp=104_164, fn=259_665), -1.0),
    ],
)
def test_rounding_does_not_take_mcc_out_of_its_range(counts: ConfusionCounts, mcc: float) -> None:
    assert counts.mcc == mcc


@pytest.mark.parametrize(
    ("counts", "undefined"),
    [
        (ConfusionCounts(), {"iou", "f1", "precision", "recall", "overall_accuracy", "kappa", "mcc"}),
        (ConfusionCounts(tn=9), {"iou", "f1", "precision", "recall", "kappa", "mcc"}),
        (ConfusionCounts(fp=9), {"recall", "mcc"}),
        (ConfusionCounts(fn=9), {"precision", "mcc"}),
        (ConfusionCounts(1, 1, 1, 1), set()),
    ],
)
def test_score_of_zero_divided_by_zero_is_none(counts: ConfusionCounts, undefined: set[str]) -> None:
    assert {name for name, score in counts.scores().items() if score is None} == undefined


def test_sum_of_parts_equals_the_whole() -> None:
    assert ConfusionCounts(1, 2, 3, 4) + ConfusionCounts(10, 20, 30, 40) == ConfusionCounts(11, 22, 33, 44)


def test_counts_are_exact_up_to_a_quadrillion_pixels() -> None:
    counts = ConfusionCounts(tp=10**15) + ConfusionCounts(fp=1)
    assert counts.compared == 10**15 + 1
    assert counts.iou < 1


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
def test_reliability_and_calibration_error_follow_the_definition(
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


def test_percents_are_binned_by_tens_and_100_is_in_the_last_bin() -> None:
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
