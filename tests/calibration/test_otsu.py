import numpy as np
import pytest

from seg.calibration.otsu import otsu_threshold


def test_the_threshold_lies_between_two_groups() -> None:
    random = np.random.default_rng(0)
    values = np.concatenate([random.normal(1, 0.1, 900), random.normal(3, 0.1, 300)]).astype(np.float32)
    assert 1.3 < otsu_threshold(values) < 2.7


def test_the_threshold_minimises_the_variance_within_the_groups() -> None:
    values = np.random.default_rng(1).gamma(2, 1, 5000).astype(np.float32)
    found = otsu_threshold(values)

    def within(threshold: float) -> float:
        groups = values[values <= threshold], values[values > threshold]
        return float(sum(group.var() * len(group) for group in groups))

    best = min(np.linspace(0.5, 6, 400), key=within)
    assert found == pytest.approx(best, abs=0.15)


def test_equal_values_are_their_own_threshold() -> None:
    assert otsu_threshold(np.full(9, 5, np.float32)) == 5
