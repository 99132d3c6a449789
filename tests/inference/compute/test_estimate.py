import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg.inference.compute.predictor import RunningEstimate


def estimate_of(probabilities: np.ndarray, deviation: bool = True) -> tuple[np.ndarray, np.ndarray | None]:
    running = RunningEstimate(deviation)
    for probability in probabilities:
        running.add(probability)
    return running.estimate()


@given(st.integers(1, 40), st.integers(0, 1000), st.sampled_from([1.0, 1e-2, 1e-4]))
def test_mean_and_deviation_are_those_of_all_at_once(count: int, seed: int, spread: float) -> None:
    # Around 0.9 with little spread, the difference of two sums of squares would be noise.
    drawn = 0.9 - spread * 0.9 * np.random.default_rng(seed).random((count, 5, 4), dtype=np.float32)
    mean, deviation = estimate_of(drawn)
    np.testing.assert_allclose(mean, drawn.mean(axis=0, dtype=np.float64), atol=1e-6)
    np.testing.assert_allclose(deviation, drawn.std(axis=0, dtype=np.float64), atol=2e-6)


def test_the_largest_deviation_is_one_half() -> None:
    mean, deviation = estimate_of(np.array([[[0.0]], [[1.0]], [[1.0]], [[0.0]]], np.float32))
    assert (mean.item(), deviation.item()) == (0.5, 0.5)


def test_the_mean_is_the_same_to_the_bit_without_the_deviation() -> None:
    drawn = np.random.default_rng(0).random((7, 9, 8), dtype=np.float32)
    alone, none = estimate_of(drawn, deviation=False)
    assert none is None
    np.testing.assert_array_equal(alone, estimate_of(drawn)[0])


def test_what_was_added_is_left_as_it_was() -> None:
    drawn = np.random.default_rng(0).random((3, 4, 4), dtype=np.float32)
    before = drawn.copy()
    estimate_of(drawn)
    np.testing.assert_array_equal(drawn, before)


def test_nothing_has_no_mean() -> None:
    with pytest.raises(ValueError, match="at least one"):
        RunningEstimate(False).estimate()
