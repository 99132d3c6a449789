import pickle
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seg.data.datasets import Sample
from seg.data.transforms import Augmentation, AugmentationConfig
from seg.errors import ConfigError

NOTHING = AugmentationConfig(dihedral=False)
RADIOMETRIC = AugmentationConfig(dihedral=False, gain=0.1, offset=0.1, noise=0.1)
EVERYTHING = AugmentationConfig(gain=0.1, offset=0.1, noise=0.1)

sides = st.integers(1, 12)
seeds = st.integers(0, 2**32 - 1)


def sample_of(bands: int, height: int, width: int, seed: int = 0) -> Sample:
    """Reflectances up to 10000, which albumentations would clip if it could."""
    random = np.random.default_rng(seed)
    image = random.uniform(0, 10_000, (bands, height, width)).astype(np.float32)
    mask = random.choice(np.array([0, 1, 255], dtype=np.uint8), (height, width))
    return Sample(image, mask, random.random((height, width)) > 0.2)


def changed(config: AugmentationConfig, sample: Sample, seed: int = 0) -> Sample:
    return Augmentation(config, [100.0] * len(sample.image))(sample, np.random.default_rng(seed))


def same(first: Sample, second: Sample) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(astuple(first), astuple(second), strict=True))


@settings(deadline=None)
@given(sides, sides, seeds)
def test_image_mask_and_validity_move_alike(height: int, width: int, seed: int) -> None:
    plain = sample_of(1, height, width, seed)
    painted = np.stack([plain.mask, plain.valid]).astype(np.float32)
    moved = changed(AugmentationConfig(), Sample(painted, plain.mask, plain.valid), seed)

    np.testing.assert_array_equal(moved.image[0], moved.mask)
    np.testing.assert_array_equal(moved.image[1], moved.valid)


@settings(deadline=None)
@given(st.integers(1, 6), sides, sides, st.sampled_from([NOTHING, RADIOMETRIC, EVERYTHING]))
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


def test_augmentation_without_any_change_gives_the_sample_back() -> None:
    sample = sample_of(3, 5, 7)
    assert same(changed(NOTHING, sample), sample)


def test_radiometric_changes_leave_mask_and_validity() -> None:
    sample = sample_of(3, 5, 7)
    moved = changed(RADIOMETRIC, sample)
    assert same(Sample(sample.image, moved.mask, moved.valid), sample)


@given(seeds)
@settings(deadline=None, max_examples=20)
def test_a_seed_gives_the_same_change_whatever_came_before(seed: int) -> None:
    sample, augmentation = sample_of(3, 5, 7), Augmentation(EVERYTHING, [100.0] * 3)
    first = augmentation(sample, np.random.default_rng(seed))
    augmentation(sample_of(3, 9, 4), np.random.default_rng(seed + 1))

    assert same(augmentation(sample, np.random.default_rng(seed)), first)


def test_a_copy_sent_to_another_process_changes_samples_alike() -> None:
    sample, augmentation = sample_of(3, 5, 7), Augmentation(EVERYTHING, [100.0] * 3)
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
    """(400, 2) how much the mean of each of two bands changes, for 400 seeds; the bands' spreads are 10 and 1000."""
    augmentation = Augmentation(config, [10.0, 1000.0])
    images = [augmentation(flat(level), np.random.default_rng(seed)).image for seed in range(400)]
    return np.array([image.mean(axis=(1, 2)) - level for image in images])


def test_offset_is_counted_in_standard_deviations_of_the_band() -> None:
    spread = shifts(AugmentationConfig(dihedral=False, offset=0.5), level=0).std(axis=0)
    assert spread == pytest.approx([5, 500], rel=0.15)


def test_gain_multiplies_by_a_factor_that_bands_share_in_part() -> None:
    moves = shifts(AugmentationConfig(dihedral=False, gain=0.1), level=1000)
    assert moves.std(axis=0) == pytest.approx([100 * 2**0.5] * 2, rel=0.15)
    assert np.corrcoef(moves.T)[0, 1] == pytest.approx(0.5, abs=0.15)


def test_noise_differs_by_pixel_and_is_counted_in_standard_deviations_of_the_band() -> None:
    noisy = Augmentation(AugmentationConfig(dihedral=False, noise=0.5), [10.0, 1000.0])(
        flat(0), np.random.default_rng(0)
    )
    assert noisy.image.std(axis=(1, 2)) == pytest.approx([5, 500], rel=0.15)


@pytest.mark.parametrize("name", ["gain", "offset", "noise"])
@pytest.mark.parametrize("strength", [-1.0, float("nan"), float("inf")])
def test_a_strength_that_is_no_standard_deviation_is_refused(name: str, strength: float) -> None:
    with pytest.raises(ConfigError, match=rf"data\.augmentation\.{name} is {strength:g}; wanted .* 0 or more"):
        AugmentationConfig(**{name: strength})
