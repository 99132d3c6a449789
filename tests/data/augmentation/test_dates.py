import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seg.data.augmentation.dates import DropDates
from seg.data.augmentation.extra import ExtraTransform
from seg.data.augmentation.mixing import cut_mix, mosaic
from seg.data.augmentation.pipeline import Augmentation, AugmentationConfig
from seg.data.sample import Sample, filled_image
from seg.errors import ConfigError
from seg.raster.chips import Reading
from seg.raster.date_bands import missing_bands
from support.samples import GARBAGE, augmented, same, sample_of

DATES = (0, 0, 1, -1)
FILL = [5000.0, 5001.0, 5002.0, 5003.0]
READING = Reading([1, 2, 3, 4], FILL, dates=DATES)
MOVES = AugmentationConfig(scale=0.3, rotation=20, resolution=2, frequency=1)
FULL = AugmentationConfig(
    gain=0.02, offset=0.05, noise=0.05, scale=0.3, rotation=10, resolution=2, haze=0.1, shadow=0.5, frequency=1
)

sides = st.integers(1, 16)
seeds = st.integers(0, 2**32 - 1)


def with_missing(height: int, width: int, seed: int = 0, value: float = GARBAGE) -> Sample:
    """Random sample in which each date is missing at a quarter of the pixels; bands of missing dates hold `value`."""
    plain = sample_of(4, height, width, seed)
    random = np.random.default_rng([seed, 1])
    missing = random.choice(np.array([0, 0, 1, 2], np.uint16), (height, width))
    missing[~plain.valid] = 0
    image = np.where(missing_bands(missing, DATES) | ~plain.valid, np.float32(value), plain.image)
    return Sample(image, plain.mask, plain.valid, missing=missing)


def changed(config: AugmentationConfig, sample: Sample, seed: int = 0) -> Sample:
    return Augmentation(config, [100.0] * 4, FILL, DATES)(sample, np.random.default_rng(seed))


@settings(deadline=None, max_examples=30)
@given(sides, sides, seeds, st.sampled_from([AugmentationConfig(), MOVES, FULL]))
def test_missing_dates_hold_their_fill_values_and_do_not_reach_other_pixels(
    height: int, width: int, seed: int, config: AugmentationConfig
) -> None:
    moved = changed(config, with_missing(height, width, seed), seed)
    assert moved.missing is not None
    image, absent = filled_image(moved, READING), missing_bands(moved.missing, DATES)
    for band, fill, hidden in zip(image, FILL, absent, strict=True):
        assert (band[hidden | ~moved.valid] == fill).all()
        seen = band[~hidden & moved.valid]
        assert (np.abs(seen) < 20_000).all()  # GARBAGE would be larger
    assert not (moved.valid & (moved.missing == 3)).any()


def test_missing_dates_move_with_the_pixels() -> None:
    plain = with_missing(7, 9)
    assert plain.missing is not None
    shown = Sample(plain.missing[None].astype(np.float32), plain.mask, plain.valid, missing=plain.missing)
    augmentation = Augmentation(AugmentationConfig(), [1.0], [0.0])
    for seed in range(8):
        moved = augmentation(shown, np.random.default_rng(seed))
        np.testing.assert_array_equal(moved.image[0], moved.missing)


def test_transforms_of_albumentations_move_missing_dates() -> None:
    config = AugmentationConfig(dihedral=False, extra=[ExtraTransform("Transpose", {"p": 1})])
    plain = with_missing(6, 8, value=5000)
    moved = changed(config, plain)
    assert plain.missing is not None
    np.testing.assert_array_equal(moved.missing, plain.missing.T)


def test_mixed_samples_keep_their_missing_dates() -> None:
    one, other = with_missing(9, 9, 1), sample_of(4, 9, 9, 2)
    for first, second in ((one, other), (other, one)):
        mixed = cut_mix(first, second, np.random.default_rng(3))
        from_first = (mixed.image == first.image).all(axis=0)
        bits = [np.zeros((9, 9), np.uint16) if part.missing is None else part.missing for part in (first, second)]
        np.testing.assert_array_equal(mixed.missing, np.where(from_first, *bits))
    assert mosaic([other, one, other, other], np.random.default_rng(0)).missing is not None
    assert cut_mix(other, other, np.random.default_rng(0)).missing is None


def test_dropped_dates_hold_their_means_and_one_date_stays() -> None:
    plain = Sample(np.ones((4, 2, 3), np.float32), np.zeros((2, 3), np.uint8), np.ones((2, 3), bool))
    drop = DropDates(0.5, np.asarray(FILL, np.float32), DATES)
    seen = set()
    for seed in range(40):
        moved = augmented(drop, plain, seed)
        assert moved.valid.all()
        assert (moved.image == moved.image[:, :1, :1]).all()
        seen.add(tuple(moved.image[:, 0, 0].tolist()))
    assert seen == {(1, 1, 1, 1), (5000, 5001, 1, 1), (1, 1, 5002, 1)}


def test_a_pixel_whose_only_date_is_dropped_becomes_invalid() -> None:
    missing = np.array([[0, 1, 2]], np.uint16)
    plain = Sample(np.ones((4, 1, 3), np.float32), np.zeros((1, 3), np.uint8), np.ones((1, 3), bool), missing=missing)
    drop = DropDates(1, np.asarray(FILL, np.float32), DATES)
    for seed in range(6):
        moved = augmented(drop, plain, seed)
        kept = [True, False, True] if moved.image[0, 0, 0] == 1 else [True, True, False]
        assert moved.valid.tolist() == [kept]


def test_dropped_dates_depend_only_on_the_generator_and_change_nothing_else() -> None:
    plain = with_missing(8, 8, value=5000)
    config = AugmentationConfig(gain=0.1, noise=0.1, scale=0.3, date_dropout=0.5)
    without = AugmentationConfig(gain=0.1, noise=0.1, scale=0.3)
    for seed in range(6):
        assert same(changed(config, plain, seed), changed(config, plain, seed))
        moved, other = changed(config, plain, seed), changed(without, plain, seed)
        stays = (moved.image == other.image).all(axis=(1, 2))
        assert stays[3]
        assert stays[2] or stays[:2].all()


def test_dropping_dates_needs_two_dates() -> None:
    with pytest.raises(
        ConfigError, match=r"date_dropout is 0.3, but the bands have fewer than two dates; wanted bands with"
    ):
        Augmentation(AugmentationConfig(date_dropout=0.3), [1.0], [0.0])
