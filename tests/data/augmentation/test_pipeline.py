import hashlib
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seg.data.augmentation.pipeline import Augmentation, AugmentationConfig
from seg.data.sample import Sample
from seg.errors import ConfigError
from support.samples import GARBAGE, assert_paint_shows_the_mask, painted, same, sample_of, with_invalid

NOTHING = AugmentationConfig(dihedral=False)
RADIOMETRIC = AugmentationConfig(dihedral=False, gain=0.1, offset=0.1, noise=0.1)
EVERYTHING = AugmentationConfig(gain=0.1, offset=0.1, noise=0.1)
GEOMETRIC = AugmentationConfig(scale=0.5, rotation=20, frequency=1)
FULL = AugmentationConfig(
    gain=0.1,
    offset=0.1,
    noise=0.1,
    scale=0.3,
    rotation=10,
    resolution=2,
    haze=1,
    shadow=0.5,
    band_dropout=0.2,
    frequency=1,
)
PINNED = {
    "default": (AugmentationConfig(), "1bbd645d49890a2d"),
    "nothing": (NOTHING, "8060c732ed33809b"),
    "jitter": (AugmentationConfig(gain=0.03, offset=0.1, noise=0.03), "d62966461ac0c9fd"),
    "gain": (AugmentationConfig(gain=0.1), "946084a8300fe33a"),
    "noise": (AugmentationConfig(dihedral=False, noise=0.2), "73882acc1b805a86"),
}
"""Digests of eight samples each."""

sides = st.integers(1, 12)
seeds = st.integers(0, 2**32 - 1)


def changed(config: AugmentationConfig, sample: Sample, seed: int = 0) -> Sample:
    return Augmentation(config, *[[100.0] * len(sample.image)] * 2)(sample, np.random.default_rng(seed))


@settings(deadline=None)
@given(sides, sides, seeds)
def test_image_mask_and_validity_move_alike(height: int, width: int, seed: int) -> None:
    plain = sample_of(1, height, width, seed)
    painted = np.stack([plain.mask, plain.valid]).astype(np.float32)
    moved = changed(AugmentationConfig(), Sample(painted, plain.mask, plain.valid), seed)

    np.testing.assert_array_equal(moved.image[0], moved.mask)
    np.testing.assert_array_equal(moved.image[1], moved.valid)


@settings(deadline=None)
@given(st.integers(1, 6), sides, sides, st.sampled_from([NOTHING, RADIOMETRIC, EVERYTHING, FULL]))
def test_shapes_and_types_stay_for_any_size(bands: int, height: int, width: int, config: AugmentationConfig) -> None:
    moved = changed(config, sample_of(bands, height, width))

    assert (moved.image.dtype, moved.mask.dtype, moved.valid.dtype) == (np.float32, np.uint8, np.bool_)
    assert moved.image.shape == (bands, *moved.mask.shape)
    assert moved.valid.shape == moved.mask.shape
    assert sorted(moved.mask.shape) == sorted((height, width))


def test_all_eight_flips_and_turns_occur() -> None:
    sample = sample_of(1, 2, 3)
    seen = {changed(AugmentationConfig(), sample, seed).image.tobytes() for seed in range(100)}
    assert len(seen) == 8


def test_flips_and_turns_change_no_value() -> None:
    sample = sample_of(3, 5, 7)
    moved = changed(AugmentationConfig(), sample)
    np.testing.assert_array_equal(np.sort(moved.image, axis=None), np.sort(sample.image, axis=None))


def test_augmentation_without_changes_returns_an_equal_sample() -> None:
    sample = sample_of(3, 5, 7)
    assert same(changed(NOTHING, sample), sample)


def test_radiometric_changes_do_not_change_mask_and_validity() -> None:
    sample = sample_of(3, 5, 7)
    moved = changed(RADIOMETRIC, sample)
    assert same(Sample(sample.image, moved.mask, moved.valid), sample)


@given(seeds)
@settings(deadline=None, max_examples=20)
def test_a_seed_gives_the_same_change_after_any_earlier_calls(seed: int) -> None:
    sample, augmentation = sample_of(3, 5, 7), Augmentation(FULL, [100.0] * 3, [5000.0] * 3)
    first = augmentation(sample, np.random.default_rng(seed))
    augmentation(sample_of(3, 9, 4), np.random.default_rng(seed + 1))

    assert same(augmentation(sample, np.random.default_rng(seed)), first)


def test_a_pickled_copy_gives_the_same_changes() -> None:
    sample, augmentation = sample_of(3, 5, 7), Augmentation(FULL, [100.0] * 3, [5000.0] * 3)
    sent = pickle.loads(pickle.dumps(augmentation))

    assert same(sent(sample, np.random.default_rng(5)), augmentation(sample, np.random.default_rng(5)))


@pytest.mark.parametrize("config", [RADIOMETRIC, AugmentationConfig()], ids=["radiometric", "dihedral"])
def test_seeds_give_different_changes(config: AugmentationConfig) -> None:
    sample = sample_of(3, 5, 7)
    assert len({changed(config, sample, seed).image.tobytes() for seed in range(20)}) > 5


def test_values_are_not_clipped() -> None:
    bright = Sample(np.full((1, 8, 8), 60_000, dtype=np.float32), np.zeros((8, 8), np.uint8), np.ones((8, 8), bool))
    assert changed(AugmentationConfig(noise=1.0), bright).image.mean() == pytest.approx(60_000, abs=100)


def flat(level: float) -> Sample:
    return Sample(np.full((2, 32, 32), level, dtype=np.float32), np.zeros((32, 32), np.uint8), np.ones((32, 32), bool))


def shifts(config: AugmentationConfig, level: float) -> np.ndarray:
    """(400, 2) changes of the band means for 400 seeds; the two bands have standard deviations of 10 and 1000."""
    augmentation = Augmentation(config, [10.0, 1000.0], [0.0, 0.0])
    images = [augmentation(flat(level), np.random.default_rng(seed)).image for seed in range(400)]
    return np.array([image.mean(axis=(1, 2)) - level for image in images])


def test_offset_is_in_standard_deviations_of_the_band() -> None:
    spread = shifts(AugmentationConfig(dihedral=False, offset=0.5), level=0).std(axis=0)
    assert spread == pytest.approx([5, 500], rel=0.15)


def test_gain_factors_of_bands_are_correlated() -> None:
    moves = shifts(AugmentationConfig(dihedral=False, gain=0.1), level=1000)
    assert moves.std(axis=0) == pytest.approx([100 * 2**0.5] * 2, rel=0.15)
    assert np.corrcoef(moves.T)[0, 1] == pytest.approx(0.5, abs=0.15)


def test_noise_differs_by_pixel_and_is_in_standard_deviations_of_the_band() -> None:
    noisy = Augmentation(AugmentationConfig(dihedral=False, noise=0.5), [10.0, 1000.0], [0.0, 0.0])(
        flat(0), np.random.default_rng(0)
    )
    assert noisy.image.std(axis=(1, 2)) == pytest.approx([5, 500], rel=0.15)


@pytest.mark.parametrize(("config", "pinned"), PINNED.values(), ids=PINNED)
def test_samples_are_identical_to_earlier_versions(config: AugmentationConfig, pinned: str) -> None:
    random = np.random.default_rng(11)
    image = random.integers(0, 10_000, (3, 20, 20)).astype(np.float32)
    mask = random.choice(np.array([0, 1, 255], np.uint8), (20, 20))
    sample, digest = Sample(image, mask, random.random((20, 20)) > 0.1), hashlib.sha256()
    for index in range(8):
        moved = Augmentation(config, [800.0, 900.0, 1000.0], [5000.0] * 3)(sample, np.random.default_rng([5, 2, index]))
        for array in (moved.image, moved.mask, moved.valid):
            digest.update(np.ascontiguousarray(array).tobytes() + str(array.dtype).encode())
    assert digest.hexdigest()[:16] == pinned


@settings(deadline=None)
@given(sides, sides, seeds)
def test_image_mask_and_validity_stay_consistent_after_all_changes(height: int, width: int, seed: int) -> None:
    assert_paint_shows_the_mask(changed(GEOMETRIC, painted(sample_of(1, height, width, seed)), seed))


@settings(deadline=None)
@given(st.integers(1, 4), sides, sides, seeds)
def test_invalid_values_never_reach_valid_pixels(bands: int, height: int, width: int, seed: int) -> None:
    sample = sample_of(bands, height, width, seed)
    first, other = (changed(FULL, with_invalid(sample, value), seed) for value in (GARBAGE, -1))

    np.testing.assert_array_equal(first.mask, other.mask)
    np.testing.assert_array_equal(first.valid, other.valid)
    np.testing.assert_array_equal(first.image[:, first.valid], other.image[:, other.valid])
    assert np.isfinite(first.image[:, first.valid]).all()


def test_further_changes_do_not_change_flips_and_jitter() -> None:
    sample = sample_of(3, 8, 8)
    more = AugmentationConfig(gain=0.1, offset=0.1, noise=0.1, shadow=0.5, frequency=0)
    assert same(changed(more, sample), changed(EVERYTHING, sample))


@pytest.mark.parametrize("frequency", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("name", ["rotation", "scale", "resolution", "haze", "shadow"])
def test_frequency_is_the_share_of_samples_that_change(name: str, frequency: float) -> None:
    config = AugmentationConfig(dihedral=False, frequency=frequency, **{name: 1.0})
    sample = sample_of(2, 24, 24)
    share = np.mean([not same(changed(config, sample, seed), sample) for seed in range(200)])
    assert frequency - 0.12 <= share <= frequency + 0.08


def test_dropped_bands_get_the_mean_of_the_training_split() -> None:
    augmentation = Augmentation(AugmentationConfig(dihedral=False, band_dropout=1), [1.0, 1.0], [-3.0, -4.0])
    image = augmentation(sample_of(2, 3, 3), np.random.default_rng(0)).image
    assert sorted((image == np.float32([-3, -4])[:, None, None]).all(axis=(1, 2))) == [False, True]


@pytest.mark.parametrize("name", ["gain", "offset", "noise", "haze"])
@pytest.mark.parametrize("strength", [-1.0, float("nan"), float("inf")])
def test_a_strength_that_is_negative_or_not_finite_is_refused(name: str, strength: float) -> None:
    with pytest.raises(ConfigError, match=rf"data\.augmentation\.{name} is {strength:g}; wanted .* 0 or more"):
        AugmentationConfig(**{name: strength})


@pytest.mark.parametrize(
    ("name", "strength", "wanted"),
    [
        ("scale", -0.1, "0 to 4"),
        ("scale", float("nan"), "0 to 4"),
        ("rotation", 90, "0 to 45 degrees"),
        ("resolution", 20, "0 to 15"),
        ("shadow", 1.5, "a share, 0 to 1"),
        ("band_dropout", -1, "a probability, 0 to 1"),
        ("frequency", 2, "a share, 0 to 1"),
    ],
)
def test_a_strength_out_of_bounds_is_refused(name: str, strength: float, wanted: str) -> None:
    with pytest.raises(ConfigError, match=rf"^data\.augmentation\.{name} is {strength:g}; wanted {wanted}.*$"):
        AugmentationConfig(**{name: strength})
