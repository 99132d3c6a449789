import numpy as np
import pytest

from seg.evaluation.change.classes import (
    GAINED,
    LOST,
    STABLE_CROPLAND,
    STABLE_OTHER,
    change_classes,
    change_percent,
)
from seg.labels import CROPLAND, IGNORE, OTHER


def test_every_pair_of_classes_has_a_class_of_change() -> None:
    before, after = (part.astype(np.uint8) for part in np.meshgrid(*[[OTHER, CROPLAND, IGNORE]] * 2, indexing="ij"))
    expected = [[STABLE_OTHER, GAINED, IGNORE], [LOST, STABLE_CROPLAND, IGNORE], [IGNORE] * 3]
    np.testing.assert_array_equal(change_classes(before, after), expected)


def test_probability_of_a_change_is_the_probability_that_both_maps_are_right() -> None:
    classes = np.array([[GAINED, LOST, STABLE_OTHER, IGNORE, GAINED]], np.uint8)
    before = np.array([[10, 90, 10, 10, 10]], np.uint8)
    after = np.array([[80, 40, 10, 80, 80]], np.uint8)
    valid = np.array([[True, True, True, True, False]])
    assert change_percent(classes, before, after, valid).tolist() == [[72, 54, IGNORE, IGNORE, IGNORE]]


def test_probability_is_the_frequency_of_true_change_for_independent_errors() -> None:
    random = np.random.default_rng(0)
    before, after = random.integers(0, 101, (2, 400_000)).astype(np.uint8)
    true = (random.random((2, 400_000)) < np.stack([before, after]) / 100).astype(np.uint8)
    classes = change_classes((before >= 50).astype(np.uint8), (after >= 50).astype(np.uint8))
    percent = change_percent(classes, before, after, np.ones(400_000, bool))
    for direction, truth in ((GAINED, (0, 1)), (LOST, (1, 0))):
        for low in (30, 50, 70, 85):
            chosen = (classes == direction) & (percent >= low) & (percent < low + 10)
            happened = (true[0, chosen] == truth[0]) & (true[1, chosen] == truth[1])
            assert happened.mean() == pytest.approx(percent[chosen].mean() / 100, abs=0.02)
