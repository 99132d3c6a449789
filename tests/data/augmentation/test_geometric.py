import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seg.data.augmentation.geometric import Coarsen, ZoomAndTurn, band_means
from seg.data.augmentation.transform import as_data, as_sample
from seg.data.sample import Sample
from seg.labels import IGNORE
from support.samples import GARBAGE, assert_paint_shows_the_mask, painted, same, sample_of, with_invalid

sides = st.integers(1, 40)
seeds = st.integers(0, 2**32 - 1)
factors = st.floats(0.2, 5)
degrees = st.floats(-45, 45)


def zoom_and_turn(sample: Sample, factor: float, turn: float) -> Sample:
    params = ZoomAndTurn.movement(sample.valid, factor, turn)
    return as_sample(ZoomAndTurn(scale=4, rotation=45, p=1).apply_with_params(params, **as_data(sample)))


def coarsen(sample: Sample, factor: float) -> Sample:
    params = {"factor": factor, "valid": sample.valid}
    return as_sample(Coarsen(resolution=15, p=1).apply_with_params(params, **as_data(sample)))


def blocks(side: int, block: int) -> np.ndarray:
    """(side, side) bool chessboard with squares of `block` pixels."""
    rows, columns = np.indices((side, side)) // block
    return (rows + columns) % 2 == 1


@settings(deadline=None)
@given(sides, sides, seeds, factors, degrees)
def test_image_mask_and_validity_stay_consistent_after_zoom_and_rotation(
    height: int, width: int, seed: int, factor: float, turn: float
) -> None:
    moved = zoom_and_turn(painted(sample_of(1, height, width, seed)), factor, turn)

    assert_paint_shows_the_mask(moved)
    assert (moved.mask[~moved.valid] == IGNORE).all()


@settings(deadline=None)
@given(st.integers(8, 30), st.floats(1, 5), degrees)
def test_most_pixels_of_large_parcels_keep_their_label(block: int, factor: float, turn: float) -> None:
    mask = blocks(60, block).astype(np.uint8)
    moved = zoom_and_turn(painted(Sample(mask[None].astype(np.float32), mask, np.ones_like(mask, bool))), factor, turn)

    assert np.isin(moved.image[0], [0, 1])[moved.valid].mean() > 0.6
    assert_paint_shows_the_mask(moved)


@settings(deadline=None)
@given(sides, sides, seeds, factors, degrees)
def test_a_pixel_is_valid_only_if_all_its_source_pixels_are_valid(
    height: int, width: int, seed: int, factor: float, turn: float
) -> None:
    sample = sample_of(2, height, width, seed)
    moved = zoom_and_turn(with_invalid(sample, GARBAGE), factor, turn)
    levels = sample.image[:, sample.valid]

    assert np.isfinite(moved.image).all()
    if moved.valid.any():
        assert moved.image[:, moved.valid].max() <= levels.max() * 1.0001
        assert moved.image[:, moved.valid].min() >= levels.min() * 0.9999
    assert same(moved, zoom_and_turn(with_invalid(sample, -7), factor, turn))


def test_all_pixels_interpolated_from_an_invalid_pixel_are_invalid() -> None:
    valid = np.ones((17, 17), bool)
    valid[8, 8] = False
    moved = zoom_and_turn(Sample(np.ones((1, 17, 17), np.float32), np.ones((17, 17), np.uint8), valid), 4, 0)

    expected = np.ones((17, 17), bool)
    expected[5:12, 5:12] = False  # destination pixels within one source pixel of the centre
    np.testing.assert_array_equal(moved.valid, expected)


def test_zoom_keeps_the_centre_in_place() -> None:
    mask = np.zeros((9, 13), np.uint8)
    mask[4, 6] = 1
    moved = zoom_and_turn(Sample(mask[None].astype(np.float32), mask, np.ones_like(mask, bool)), 3, 0)

    assert np.argwhere(moved.mask == 1).tolist() == [[row, column] for row in (3, 4, 5) for column in (5, 6, 7)]


def test_pixels_from_outside_are_invalid_and_ignored() -> None:
    full = Sample(np.full((1, 40, 40), 7, np.float32), np.ones((40, 40), np.uint8), np.ones((40, 40), bool))
    shrunk = zoom_and_turn(full, 0.5, 0)

    assert shrunk.valid.sum() == pytest.approx(20 * 20, abs=2 * 20 + 1)
    assert shrunk.valid[20, 20]
    np.testing.assert_array_equal(shrunk.mask, np.where(shrunk.valid, 1, IGNORE))


def test_zoom_enlarges_objects_and_rotation_is_counter_clockwise() -> None:
    mask = np.zeros((41, 41), np.uint8)
    mask[20, 20:] = 1  # from the centre to the right
    sample = Sample(mask[None].astype(np.float32), mask, np.ones_like(mask, bool))

    assert zoom_and_turn(sample, 3, 0).mask[:, 40].sum() == 3
    turned = zoom_and_turn(sample, 1, 45).mask
    assert turned[10, 30] == 1
    assert turned[30, 30] == 0


@settings(deadline=None)
@given(sides, sides, seeds)
def test_zoom_1_and_rotation_0_change_no_valid_pixel(height: int, width: int, seed: int) -> None:
    sample = sample_of(3, height, width, seed)
    moved = zoom_and_turn(sample, 1, 0)

    np.testing.assert_array_equal(moved.valid, sample.valid)
    np.testing.assert_array_equal(moved.image[:, sample.valid], sample.image[:, sample.valid])
    np.testing.assert_array_equal(moved.mask[sample.valid], sample.mask[sample.valid])


@settings(deadline=None)
@given(sides, sides, seeds, st.floats(1, 16))
def test_coarsening_does_not_change_mask_and_validity_and_uses_only_valid_pixels(
    height: int, width: int, seed: int, factor: float
) -> None:
    sample = sample_of(2, height, width, seed)
    blurred, other = (coarsen(with_invalid(sample, value), factor) for value in (GARBAGE, -7))
    levels = sample.image[:, sample.valid]

    assert same(Sample(blurred.image, sample.mask, sample.valid), blurred)
    np.testing.assert_array_equal(blurred.image[:, sample.valid], other.image[:, sample.valid])
    assert np.isfinite(blurred.image).all()
    if sample.valid.any():
        assert blurred.image[:, sample.valid].max() <= levels.max() * 1.001
        assert blurred.image[:, sample.valid].min() >= levels.min() - levels.max() * 0.001


@settings(deadline=None)
@given(sides, sides, seeds, st.floats(1, 16), st.sampled_from([0.25, 1000.0, 65_535.0]))
def test_coarsening_keeps_a_constant_band_constant(
    height: int, width: int, seed: int, factor: float, level: float
) -> None:
    sample = sample_of(1, height, width, seed)
    flat = Sample(np.full_like(sample.image, level), sample.mask, sample.valid)
    np.testing.assert_array_equal(coarsen(flat, factor).image, flat.image)


def test_coarsening_by_one_changes_nothing() -> None:
    sample = sample_of(3, 9, 14)
    assert same(coarsen(sample, 1), sample)


def test_coarsening_blurs_small_details_and_keeps_large_ones() -> None:
    fine, large = blocks(64, 1), blocks(64, 32)
    image = np.stack([fine, large]).astype(np.float32) * 1000
    blurred = coarsen(Sample(image, fine.astype(np.uint8), np.ones_like(fine)), 4).image

    assert blurred[0].std() < 100
    assert np.corrcoef(blurred[1].ravel(), image[1].ravel())[0, 1] > 0.95


def test_band_means_use_only_valid_pixels() -> None:
    image = np.array([[[1, 3, 99]], [[2, 6, 99]]], dtype=np.float32)
    valid = np.array([[True, True, False]])
    assert band_means(image, valid).tolist() == [2, 4]
    assert band_means(image, ~(valid | True)).tolist() == [0, 0]
