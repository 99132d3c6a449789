import numpy as np
import numpy.typing as npt
import pytest

from seg.imagery.composites import combining
from seg.imagery.composites.combining import combine_dates
from seg.imagery.settings import Method


def random_dates(dtype: str, dates: int = 6, seed: int = 0) -> tuple[npt.NDArray[np.generic], npt.NDArray[np.bool_]]:
    """Values over the whole range of an integer type, whose sums overflow; and a mask with three quarters valid."""
    random = np.random.default_rng(seed)
    shape = dates, 2, 13, 17
    if dtype.startswith("float"):
        values = random.normal(size=shape).astype(dtype)
    else:
        limits = np.iinfo(dtype)
        values = random.integers(limits.min, limits.max, shape, dtype, endpoint=True)
        values[:, :, :4] = random.choice([limits.min, limits.max], (dates, 2, 4, 17))
    return values, random.random((dates, 13, 17)) < 0.75


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"])
def test_median_equals_the_median_of_numpy_on_every_pixel(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(combining, "AT_ONCE", 40)  # several parts
    for dates in (1, 2, 3, 5, 6, 9):
        values, valid = random_dates(dtype, dates, seed=dates)
        present = np.broadcast_to(valid[:, None], values.shape)
        wanted = np.ma.median(np.ma.array(values.astype(np.float64), mask=~present), axis=0).filled(0)
        found, count = combine_dates(values, valid, "median")
        assert found.dtype == dtype
        np.testing.assert_array_equal(count, valid.sum(axis=0))
        if not dtype.startswith("float"):
            wanted = np.rint(wanted)
        np.testing.assert_array_equal(found, wanted.astype(dtype))


def test_median_of_decimal_numbers_ignores_nan_and_infinity_in_invalid_pixels() -> None:
    values = np.array([np.nan, 3, -np.inf, 1, np.inf, 8], np.float32).reshape(6, 1, 1, 1)
    found, count = combine_dates(values.copy(), np.isfinite(values[:, 0]), "median")
    assert (found.item(), count.item()) == (3, 3)


@pytest.mark.parametrize("number", range(1, 20))
def test_comparisons_sort_every_sequence_of_zeros_and_ones(number: int) -> None:
    # A network that sorts all sequences of 0 and 1 sorts all values: Knuth (1998), theorem 5.3.4 Z.
    sequences = np.array(np.unravel_index(np.arange(min(2**number, 2**12)), (2,) * number), np.uint8)
    if number > 12:
        sequences = np.random.default_rng(number).integers(0, 2, (number, 5000), np.uint8)
    ordered = combining._sorted([layer.copy() for layer in sequences])
    np.testing.assert_array_equal(np.stack(ordered), np.sort(sequences, axis=0))


def medoid(values: npt.NDArray[np.float64]) -> int:
    """Date with the smallest sum of distances to all other dates of one pixel, (T, C)."""
    apart = np.sqrt(((values[:, None] - values[None]) ** 2).sum(axis=-1)).sum(axis=1)
    return int(apart.argmin())


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
def test_best_takes_all_bands_of_the_medoid(dtype: str) -> None:
    values, valid = random_dates(dtype)
    found, count = combine_dates(values.copy(), valid, "best")
    for row, column in np.ndindex(*valid.shape[1:]):
        dates = np.flatnonzero(valid[:, row, column])
        assert count[row, column] == len(dates)
        wanted = np.zeros(2, dtype)
        if len(dates):
            pixel = values[dates, :, row, column]
            wanted = pixel[medoid(pixel.astype(np.float64))]
        np.testing.assert_array_equal(found[:, row, column], wanted)


def test_best_of_two_dates_is_the_first() -> None:
    values = np.array([[[[5]]], [[[9]]]], np.uint16)
    found, _ = combine_dates(values, np.ones((2, 1, 1), bool), "best")
    assert found.item() == 5


def test_first_takes_the_first_valid_date() -> None:
    values = np.arange(1, 13, dtype=np.uint8).reshape(3, 1, 1, 4)
    valid = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0]], bool)[:, None]
    found, count = combine_dates(values, valid, "first")
    assert found.ravel().tolist() == [1, 6, 11, 0]
    assert count.ravel().tolist() == [3, 2, 1, 0]


@pytest.mark.parametrize("method", ["median", "best", "first"])
def test_pixels_without_a_valid_date_are_zero(method: Method) -> None:
    found, count = combine_dates(np.zeros((0, 2, 3, 4), np.int16), np.zeros((0, 3, 4), bool), method)
    assert found.shape == (2, 3, 4)
    assert not found.any()
    assert not count.any()
