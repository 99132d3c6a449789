import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from seg.parcels.corners import (
    Corners,
    concatenated,
    corners_of,
    lexical_order,
    summed,
)

LABELS = hnp.arrays(np.int32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=8), elements=st.integers(0, 3))


def as_sets(corners: Corners) -> dict[tuple[int, int, int], int]:
    kept = summed(corners)
    keys = zip(kept.parcel.tolist(), kept.row.tolist(), kept.column.tolist(), strict=True)
    return dict(zip(keys, kept.weight.tolist(), strict=True))


def test_a_pixel_has_four_corners() -> None:
    found = as_sets(corners_of(np.array([[0, 7]], np.int32), True, row=10, column=20))
    assert found == {(7, 10, 21): 1, (7, 10, 22): -1, (7, 11, 21): -1, (7, 11, 22): 1}


@given(LABELS, st.integers(0, 8), st.integers(0, 8))
def test_corners_of_parts_add_up_to_the_corners_of_the_map(labels: np.ndarray, row: int, column: int) -> None:
    parts = [
        corners_of(labels[rows, columns], False, rows.start, columns.start)
        for rows in (slice(0, row), slice(row, None))
        for columns in (slice(0, column), slice(column, None))
    ]
    assert as_sets(concatenated(parts)) == as_sets(corners_of(labels, False))


@given(hnp.arrays(np.int32, (6, 6), elements=st.integers(0, 1)))
def test_the_fast_method_finds_the_same_corners(labels: np.ndarray) -> None:
    assert as_sets(corners_of(labels, True)) == as_sets(corners_of(labels, False))


@pytest.mark.parametrize("largest", [5, 2**40])
def test_lexical_order_sorts_by_the_first_key_then_by_the_second(largest: int) -> None:
    first, second = np.random.default_rng(0).integers(0, 5, (2, 50))
    first, second = first * (largest // 5), second * (largest // 5)
    order = lexical_order(first, second)
    pairs = list(zip(first[order].tolist(), second[order].tolist(), strict=True))
    assert pairs == sorted(zip(first.tolist(), second.tolist(), strict=True))
