import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor
from torchmetrics.functional import classification as reference

from seg.evaluation.confusion import ConfusionCounts, count_pixels
from seg.labels import CROPLAND, IGNORE, OTHER

REFERENCES: dict[str, Callable[..., Tensor]] = {
    "iou": reference.binary_jaccard_index,
    "f1": reference.binary_f1_score,
    "precision": reference.binary_precision,
    "recall": reference.binary_recall,
    "overall_accuracy": reference.binary_accuracy,
    "kappa": reference.binary_cohen_kappa,
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
        assert scores[name] == pytest.approx(0.0 if math.isnan(value) else value, abs=1e-6), name


def test_pixels_without_a_value_on_either_side_are_not_counted() -> None:
    mapped = np.array([CROPLAND, IGNORE, IGNORE, CROPLAND, OTHER, OTHER, CROPLAND], dtype=np.uint8)
    labels = np.array([IGNORE, CROPLAND, IGNORE, CROPLAND, CROPLAND, OTHER, OTHER], dtype=np.uint8)
    assert count_pixels(mapped, labels) == ConfusionCounts(tp=1, fp=1, fn=1, tn=1)


@given(pixels, pixels, pixels, pixels)
def test_scores_stay_in_range_at_any_size(tp: int, fp: int, fn: int, tn: int) -> None:
    scores = ConfusionCounts(tp, fp, fn, tn).scores()
    assert -1 <= scores.pop("kappa") <= 1
    assert all(0 <= score <= 1 for score in scores.values())


@pytest.mark.parametrize(
    "counts", [ConfusionCounts(), ConfusionCounts(tn=9), ConfusionCounts(fp=9), ConfusionCounts(fn=9)]
)
def test_undefined_scores_are_zero(counts: ConfusionCounts) -> None:
    scores = counts.scores()
    assert [scores[name] for name in ("iou", "f1", "precision", "recall", "kappa")] == [0, 0, 0, 0, 0]


def test_sum_of_parts_equals_the_whole() -> None:
    assert ConfusionCounts(1, 2, 3, 4) + ConfusionCounts(10, 20, 30, 40) == ConfusionCounts(11, 22, 33, 44)


def test_one_pixel_in_a_quadrillion_still_shows_in_the_counts() -> None:
    counts = ConfusionCounts(tp=10**15) + ConfusionCounts(fp=1)
    assert counts.compared == 10**15 + 1
    assert counts.iou < 1
