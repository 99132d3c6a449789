import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg.evaluation.area.allocation import (
    Expectation,
    allocate,
    expected_error,
    least_sample,
)
from seg.evaluation.area.settings import Allocation

PIXELS = np.array([200_000, 150_000, 3_200_000, 6_450_000])
PAPER = Expectation(PIXELS / PIXELS.sum(), np.array([0.7, 0.6, 0.9, 0.95]), PIXELS)
"""Olofsson et al. (2014), https://doi.org/10.1016/j.rse.2014.02.015, section 5.1: guessed user's accuracies."""

ALLOCATIONS: tuple[Allocation, ...] = ("proportional", "neyman", "equal")


def test_size_equals_the_worked_example() -> None:
    assert least_sample(PAPER, 0.01, "neyman", 2).sum() == 641


def test_proportional_shares_follow_the_areas() -> None:
    assert allocate(PAPER, 641, "proportional", 2).tolist() == [13, 10, 205, 413]


def test_rare_strata_get_their_minimum_and_the_others_share_the_rest() -> None:
    counts = allocate(PAPER, 640, "proportional", 75)
    assert counts[:2].tolist() == [75, 75]
    assert counts.sum() == 640
    assert counts[3] / counts[2] == pytest.approx(PIXELS[3] / PIXELS[2], rel=0.02)


def test_neyman_allocation_of_the_size_of_equation_13_has_the_wanted_error() -> None:
    assert expected_error(PAPER, allocate(PAPER, 641, "neyman", 2)) == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize("allocation", ALLOCATIONS)
def test_each_allocation_gets_just_enough_pixels_for_the_wanted_error(allocation: Allocation) -> None:
    counts = least_sample(PAPER, 0.01, allocation, 50)
    assert expected_error(PAPER, counts) <= 0.01
    assert counts.sum() >= 641
    fewer = allocate(PAPER, int(counts.sum()) - 5, allocation, 50)
    assert expected_error(PAPER, fewer) > 0.01


def test_unreachable_error_draws_every_pixel() -> None:
    small = Expectation(np.array([0.01, 0.99]), np.array([0.8, 0.8]), np.array([30, 3000]))
    assert least_sample(small, 1e-12, "equal", 50).tolist() == [30, 3000]
    assert expected_error(small, np.array([30, 3000])) == 0


@given(
    pixels=st.lists(st.integers(1, 10_000), min_size=1, max_size=8),
    total=st.integers(1, 5_000),
    allocation=st.sampled_from(ALLOCATIONS),
    minimum=st.integers(2, 100),
)
def test_allocation_respects_total_minimum_and_stratum_sizes(
    pixels: list[int], total: int, allocation: Allocation, minimum: int
) -> None:
    held = np.array(pixels)
    counts = allocate(Expectation(held / held.sum(), np.full(len(held), 0.8), held), total, allocation, minimum)
    assert (counts >= np.minimum(minimum, held)).all()
    assert (counts <= held).all()
    assert counts.sum() == np.clip(total, np.minimum(minimum, held).sum(), held.sum())
