import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seg.data.augmentation.radiometric import DropBands, Haze, Season, Shadow, shadow_outline
from seg.data.sample import Sample
from support.samples import GARBAGE, augmented, same, sample_of, with_invalid

sides = st.integers(1, 40)
seeds = st.integers(0, 2**32 - 1)
VEIL = np.array([100, 100, 100, 100], dtype=np.float32)


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@settings(deadline=None)
@given(sides, sides, seeds)
def test_haze_adds_at_most_the_veil_and_less_to_later_bands(height: int, width: int, seed: int) -> None:
    plain = sample_of(4, height, width)
    dark = Sample(np.zeros_like(plain.image), plain.mask, plain.valid)
    hazy = augmented(Haze(2, VEIL / 2, p=1), dark, seed)

    assert same(Sample(hazy.image, dark.mask, dark.valid), hazy)
    assert hazy.image.dtype == np.float32
    assert hazy.image.min() >= 0
    assert hazy.image.max() <= 100
    falloff = np.array([1, 0.75, 0.5, 0.25])[:, None, None]
    np.testing.assert_allclose(hazy.image, hazy.image[:1] * falloff, rtol=1e-5)


def test_haze_is_smooth_and_uneven_with_a_random_thickness() -> None:
    dark = Sample(np.zeros((1, 128, 128), np.float32), np.zeros((128, 128), np.uint8), np.ones((128, 128), bool))
    veils = [augmented(Haze(1, VEIL[:1], p=1), dark, seed).image[0] for seed in range(30)]
    spreads = [np.ptp(veil) for veil in veils]
    assert min(spreads) < 20
    assert max(spreads) > 60
    for veil in veils:
        assert max(np.abs(np.diff(veil, axis=axis)).max() for axis in (0, 1)) < 6


def test_haze_of_thickness_0_changes_nothing() -> None:
    sample = sample_of(4, 9, 12)
    assert same(augmented(Haze(0, VEIL, p=1), sample), sample)


@settings(deadline=None)
@given(sides, sides, seeds, st.floats(0, 1))
def test_shadow_darkens_only_down_to_the_darkest_pixels(height: int, width: int, seed: int, darkness: float) -> None:
    sample = sample_of(2, height, width, seed)
    shaded = augmented(Shadow(darkness, p=1), sample, seed)

    assert same(Sample(shaded.image, sample.mask, sample.valid), shaded)
    assert (shaded.image <= sample.image).all()
    for before, after in zip(sample.image, shaded.image, strict=True):
        if sample.valid.any():
            assert after[sample.valid].min() >= before[sample.valid].min() * 0.9999


@settings(deadline=None)
@given(sides, sides, seeds)
def test_shadow_neither_changes_nor_uses_invalid_pixels(height: int, width: int, seed: int) -> None:
    sample = sample_of(2, height, width, seed)
    bright, dark = (augmented(Shadow(0.7, p=1), with_invalid(sample, value), seed) for value in (GARBAGE, -GARBAGE))

    np.testing.assert_array_equal(bright.image[:, sample.valid], dark.image[:, sample.valid])
    assert (bright.image[:, ~sample.valid] == GARBAGE).all()


def test_shadow_of_darkness_0_changes_nothing() -> None:
    sample = sample_of(3, 20, 30)
    assert same(augmented(Shadow(0, p=1), sample), sample)


def test_shadow_does_not_depend_on_the_stored_units() -> None:
    sample = sample_of(1, 40, 40)
    other_units = Sample(sample.image / 10_000 - 0.5, sample.mask, sample.valid)
    shaded, in_other_units = (augmented(Shadow(0.8, p=1), one, 3).image for one in (sample, other_units))
    np.testing.assert_allclose(in_other_units[:, sample.valid], (shaded / 10_000 - 0.5)[:, sample.valid], atol=1e-5)


def test_outline_has_a_dark_core_and_a_smooth_edge() -> None:
    outlines = [shadow_outline((100, 100), rng(seed)) for seed in range(20)]
    assert all(outline.min() >= 0 and outline.max() <= 1 for outline in outlines)
    assert max(outline.max() for outline in outlines) > 0.99
    assert max(np.abs(np.diff(outline, axis=1)).max() for outline in outlines) < 0.5
    assert 0.02 < np.mean(outlines) < 0.4


@given(st.integers(1, 6), seeds, st.floats(0, 1))
def test_a_dropped_band_holds_its_mean_and_one_band_stays(bands: int, seed: int, probability: float) -> None:
    sample, means = sample_of(bands, 4, 5), np.arange(bands, dtype=np.float32)
    dropped = augmented(DropBands(probability, means), sample, seed)
    kept = (dropped.image == sample.image).all(axis=(1, 2))

    assert kept.any()
    assert (dropped.image == means[:, None, None]).all(axis=(1, 2))[~kept].all()
    assert same(Sample(dropped.image, sample.mask, sample.valid), dropped)


@pytest.mark.parametrize(("probability", "share"), [(0, 0), (0.3, 0.3), (1, 0.75)])
def test_bands_are_dropped_with_the_given_probability(probability: float, share: float) -> None:
    sample = sample_of(4, 1, 2)
    images = [augmented(DropBands(probability, VEIL - 200), sample, seed).image for seed in range(500)]
    assert np.mean([image[:, 0, 0] == -100 for image in images]) == pytest.approx(share, abs=0.04)


def test_season_moves_bands_by_the_contrast_of_other_bands() -> None:
    mean, std = np.array([100, 200], np.float32), np.array([10, 40], np.float32)
    image = np.tile(mean[:, None, None], (1, 2, 3)).copy()
    image[1, 0, 0] += 40
    plain = Sample(image, np.zeros((2, 3), np.uint8), np.ones((2, 3), bool))
    moved = augmented(Season(0.5, mean, std), plain, 0)
    change = moved.image - image
    assert moved.image.dtype == np.float32
    assert abs(change[0, 0, 0]) > 0.1
    assert change[1, 0, 0] == 0
    assert not change[:, 1].any()
