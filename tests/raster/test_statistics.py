import tracemalloc
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from seg.errors import RasterError
from seg.raster.statistics import (
    BINS,
    PERCENTILES,
    BandPercentiles,
    BandStatistics,
    band_statistics,
    count_part,
    measure_part,
    statistics_of_parts,
)

Pixels = NDArray[np.float32]

pixels_of_bands = arrays(
    np.float32,
    st.tuples(st.integers(1, 4), st.integers(1, 60)),
    elements=st.floats(-1e4, 1e4, width=32, allow_subnormal=False),
)


def expected(pixels: Pixels) -> BandStatistics:
    values = pixels.astype(np.float64)
    std = values.std(axis=1)
    return BandStatistics(
        pytest.approx(values.mean(axis=1).tolist(), rel=1e-9, abs=1e-9),
        pytest.approx(np.where(np.ptp(values, axis=1) == 0, 1.0, std).tolist(), rel=1e-6, abs=1e-9),
        pixels.shape[1],
    )


@given(pixels_of_bands, st.lists(st.integers(0, 60), max_size=5))
def test_statistics_do_not_depend_on_how_pixels_are_split_into_samples(pixels: Pixels, cuts: list[int]) -> None:
    parts = np.split(pixels, sorted(min(cut, pixels.shape[1]) for cut in cuts), axis=1)
    assert band_statistics(parts) == expected(pixels)


def test_small_spread_on_a_large_mean_keeps_its_digits() -> None:
    random = np.random.default_rng(0)
    parts = [(1e6 + random.integers(0, 4, (1, 500))).astype(np.float32) for _ in range(20)]
    assert band_statistics(parts).std == pytest.approx([np.concatenate(parts, axis=1).astype(np.float64).std()])


@pytest.mark.parametrize("value", [0.0, 0.1, -1234.567])
def test_constant_band_counts_as_spread_1(value: float) -> None:
    parts = [np.full((1, size), value, dtype=np.float32) for size in (7, 1000, 3)]
    assert band_statistics(parts).std == (1.0,)


def test_a_scene_without_valid_pixels_changes_nothing() -> None:
    pixels = np.array([[1, 2, 6]], dtype=np.float32)
    nothing = np.zeros((1, 0), dtype=np.float32)
    assert band_statistics([nothing, pixels, nothing]) == band_statistics([pixels])


def test_samples_are_taken_one_after_the_other() -> None:
    statistics = band_statistics(np.full((2, 3), number, dtype=np.float32) for number in range(3))
    assert (statistics.mean, statistics.count) == ((1.0, 1.0), 9)


@pytest.mark.parametrize("samples", [[], [np.zeros((3, 0), dtype=np.float32)]], ids=["no scene", "no valid pixel"])
def test_samples_without_valid_pixels_are_an_error(samples: list[Pixels]) -> None:
    with pytest.raises(RasterError, match=r"no valid pixel.*check their nodata"):
        band_statistics(samples)


def of_parts(small_integers: bool, *parts: Callable[[], Iterable[Pixels]]) -> tuple[BandStatistics, BandPercentiles]:
    """Statistics of parts; each function returns the samples of a part."""
    measured = [measure_part(samples(), small_integers) for samples in parts]
    return statistics_of_parts(measured, lambda bins: [count_part(samples(), bins) for samples in parts])


shapes = st.tuples(st.integers(1, 3), st.integers(1, 80))
cuts = st.lists(st.integers(0, 80), max_size=4)
integers = arrays(np.float32, shapes, elements=st.integers(-32_768, 65_535).map(float))
floats = arrays(np.float32, shapes, elements=st.floats(-1e6, 1e6, width=32))


def parts(pixels: Pixels, places: list[int]) -> list[Pixels]:
    return np.split(pixels, sorted(min(place, pixels.shape[1]) for place in places), axis=1)


@given(integers, cuts)
def test_percentiles_of_small_integers_are_exact(pixels: Pixels, places: list[int]) -> None:
    _, found = of_parts(True, lambda: parts(pixels, places))
    wanted = np.percentile(pixels.astype(np.float64), PERCENTILES, axis=1)
    np.testing.assert_allclose([found.low, found.high], wanted, rtol=0, atol=1e-6)
    assert found.error == (0.0,) * len(pixels)


@given(floats, cuts)
def test_percentiles_of_floats_are_off_by_the_stated_error_at_most(pixels: Pixels, places: list[int]) -> None:
    _, found = of_parts(False, lambda: parts(pixels, places))
    wanted = np.percentile(pixels.astype(np.float64), PERCENTILES, axis=1)
    assert (np.abs(np.array([found.low, found.high]) - wanted) <= np.array(found.error) + 1e-9).all()
    np.testing.assert_allclose(found.error, np.ptp(pixels.astype(np.float64), axis=1) / BINS)


@pytest.mark.parametrize("small_integers", [True, False])
def test_mean_and_deviation_equal_band_statistics_to_the_bit(small_integers: bool) -> None:
    random = np.random.default_rng(0)
    samples = [random.integers(0, 9000, (3, size)).astype(np.float32) for size in (50, 0, 700)]
    statistics, _ = of_parts(small_integers, lambda: samples)
    assert statistics == band_statistics(samples)


@pytest.mark.parametrize("small_integers", [True, False])
def test_statistics_of_several_parts_equal_those_of_one_part_to_the_bit(small_integers: bool) -> None:
    random = np.random.default_rng(1)
    samples = [random.integers(0, 9000, (3, size)).astype(np.float32) for size in (50, 0, 700, 9)]
    whole = of_parts(small_integers, lambda: samples)
    assert of_parts(small_integers, lambda: samples[:1], lambda: samples[1:2], lambda: samples[2:]) == whole


@pytest.mark.parametrize("small_integers", [True, False])
def test_a_constant_band_has_its_value_as_percentiles(small_integers: bool) -> None:
    _, found = of_parts(small_integers, lambda: [np.full((1, 9), 7, np.float32)])
    assert (found.low, found.high, found.error) == ((7.0,), (7.0,), (0.0,))


@pytest.mark.parametrize("small_integers", [True, False])
def test_no_valid_pixel_at_all_is_an_error(small_integers: bool) -> None:
    with pytest.raises(RasterError, match="no valid pixel"):
        of_parts(small_integers, lambda: [np.zeros((2, 0), np.float32)])


@pytest.mark.parametrize("small_integers", [True, False])
def test_memory_does_not_grow_with_the_number_of_samples(small_integers: bool) -> None:
    def samples(number: int) -> Iterator[Pixels]:
        for seed in range(number):
            yield np.random.default_rng(seed).integers(0, 999, (1, 50_000)).astype(np.float32)

    def peak(number: int) -> int:
        tracemalloc.start()
        of_parts(small_integers, lambda: samples(number))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(40) < 1.1 * peak(2)


@pytest.mark.parametrize("integers", [True, False])
def test_missing_dates_do_not_count(integers: bool) -> None:
    random = np.random.default_rng(3)
    first, second = (random.integers(0, 1000, (2, 50)).astype(np.float32) for _ in range(2))
    first[0, :20] = second[1, 40:] = np.nan
    together = np.concatenate([first, second], axis=1)
    statistics, percentiles = of_parts(integers, lambda: [first, second])
    np.testing.assert_allclose(statistics.mean, np.nanmean(together, axis=1), rtol=1e-6)
    np.testing.assert_allclose(statistics.std, np.nanstd(together, axis=1), rtol=1e-6)
    assert statistics.count == 90
    wanted = np.nanpercentile(together, PERCENTILES, axis=1)
    np.testing.assert_allclose([percentiles.low, percentiles.high], wanted, atol=1e-4 if integers else 0.05)
