import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from seg.errors import RasterError
from seg.raster.statistics import BandStatistics, band_statistics

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
def test_nothing_valid_at_all_is_an_error(samples: list[Pixels]) -> None:
    with pytest.raises(RasterError, match=r"no valid pixel.*check their nodata"):
        band_statistics(samples)
