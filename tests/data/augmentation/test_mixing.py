from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seg.data.augmentation.mixing import (
    MixingConfig,
    cut_mix,
    mix_or_keep,
    mosaic,
)
from seg.data.sample import Sample
from seg.errors import ConfigError, DatasetError
from support.samples import same, sample_of

sides = st.integers(1, 24)
seeds = st.integers(0, 2**32 - 1)
Mix = Callable[[np.random.Generator], Sample]


def numbered(height: int, width: int, source: int) -> Sample:
    """Sample in which each pixel shows its origin: the bands are sample number, row, column, label and validity."""
    plain = sample_of(1, height, width, source)
    rows, columns = np.indices((height, width))
    bands = [np.full((height, width), source), rows, columns, plain.mask, plain.valid]
    return Sample(np.stack(bands).astype(np.float32), plain.mask, plain.valid)


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@settings(deadline=None)
@given(sides, sides, seeds)
def test_mask_and_validity_follow_the_pixels(height: int, width: int, seed: int) -> None:
    four = [numbered(height, width, source) for source in range(4)]
    for mixed in (cut_mix(four[0], four[1], rng(seed)), mosaic(four, rng(seed))):
        assert mixed.image.shape == four[0].image.shape
        np.testing.assert_array_equal(mixed.image[3], mixed.mask)
        np.testing.assert_array_equal(mixed.image[4], mixed.valid)


@settings(deadline=None)
@given(sides, sides, seeds)
def test_cut_mix_copies_one_rectangle_from_the_same_position(height: int, width: int, seed: int) -> None:
    mixed = cut_mix(numbered(height, width, 0), numbered(height, width, 1), rng(seed))
    other = mixed.image[0] == 1

    np.testing.assert_array_equal(other, other.any(axis=1)[:, None] & other.any(axis=0))
    for line in (other.any(axis=0), other.any(axis=1)):
        assert np.abs(np.diff(line.astype(int), prepend=0, append=0)).sum() in (0, 2)
    np.testing.assert_array_equal(mixed.image[1:3], np.indices((height, width)))


@settings(deadline=None)
@given(sides, sides, seeds)
def test_mosaic_has_each_sample_in_its_corner_as_one_window(height: int, width: int, seed: int) -> None:
    mixed = mosaic([numbered(height, width, source) for source in range(4)], rng(seed))
    source, rows, columns = mixed.image[:3].astype(int)

    assert (np.diff(source // 2, axis=0) >= 0).all()
    assert (np.diff(source % 2, axis=1) >= 0).all()
    for number in np.unique(source):
        place = np.nonzero(source == number)
        assert len(set(zip(rows[place] - place[0], columns[place] - place[1], strict=True))) == 1


def test_the_area_share_of_the_other_sample_ranges_from_near_0_to_most_of_the_chip() -> None:
    first, other = numbered(32, 32, 0), numbered(32, 32, 1)
    shares = [cut_mix(first, other, rng(seed)).image[0].mean() for seed in range(200)]
    assert min(shares) < 0.05
    assert max(shares) > 0.7


def test_mixing_changes_no_source_and_is_the_same_for_equal_seeds() -> None:
    four, untouched = ([sample_of(2, 9, 7, seed) for seed in range(4)] for _ in range(2))
    mixes: list[Mix] = [lambda generator: cut_mix(four[0], four[1], generator), lambda g: mosaic(four, g)]
    for mix in mixes:
        assert same(mix(rng(5)), mix(rng(5)))
        assert len({mix(rng(seed)).image.tobytes() for seed in range(20)}) > 5
    assert all(same(one, other) for one, other in zip(four, untouched, strict=True))


def test_samples_of_different_shapes_are_refused() -> None:
    with pytest.raises(DatasetError, match=r"samples of 2×9×7, 2×7×9 .* wanted chips of equal shape"):
        cut_mix(sample_of(2, 9, 7), sample_of(2, 7, 9), rng(0))
    with pytest.raises(DatasetError, match="cannot be mixed"):
        mosaic([sample_of(bands, 4, 4) for bands in (3, 3, 3, 4)], rng(0))


def test_a_mosaic_of_three_samples_is_refused() -> None:
    with pytest.raises(DatasetError, match="a mosaic has 3 samples; wanted 4"):
        mosaic([sample_of(1, 4, 4)] * 3, rng(0))


@settings(deadline=None)
@given(st.floats(0, 1), st.floats(0, 1), seeds)
def test_each_way_of_mixing_loads_only_the_chips_that_it_needs(first: float, second: float, seed: int) -> None:
    low, high = sorted((first, second))
    config = MixingConfig(cut_mix=low, mosaic=high - low)
    asked: list[int] = []

    def another(number: int) -> Sample:
        asked.append(number)
        return numbered(6, 6, number)

    plain = numbered(6, 6, 0)
    mixed = mix_or_keep(plain, another, config, rng(seed))
    drawn = rng(seed).random()
    assert asked == ([1] if drawn < low else [1, 2, 3] if drawn < config.cut_mix + config.mosaic else [])
    assert asked or mixed is plain


def test_mixing_is_off_by_default() -> None:
    assert not MixingConfig().active
    assert MixingConfig(mosaic=0.1).active


@pytest.mark.parametrize("name", ["cut_mix", "mosaic"])
@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_a_share_out_of_range_is_refused(name: str, share: float) -> None:
    with pytest.raises(ConfigError, match=rf"data\.mixing\.{name} is {share:g}; wanted a share of the chips, 0 to 1"):
        MixingConfig(**{name: share})


def test_shares_with_a_sum_above_1_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"cut_mix is 0\.6 and data\.mixing\.mosaic is 0\.5; wanted a sum of"):
        MixingConfig(cut_mix=0.6, mosaic=0.5)
