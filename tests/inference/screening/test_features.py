import numpy as np
import pytest
from rasterio.windows import Window

from seg.inference.screening.features import (
    CELL,
    FEATURES,
    PIXEL,
    RADII,
    REACH,
    cell_counts,
    cell_features,
    coarse_indices,
    grown_window,
)


def test_indices_of_a_coarse_pixel_are_those_of_the_mean_of_its_valid_pixels() -> None:
    image = np.zeros((3, PIXEL, 2 * PIXEL), np.float32)
    image[:, :, :PIXEL] = np.array([300, 100, 500], np.float32)[:, None, None]
    image[:, :2, PIXEL:] = np.array([400, 200, 600], np.float32)[:, None, None]
    image[:, 2:, PIXEL:] = 9000
    valid = np.ones((PIXEL, 2 * PIXEL), bool)
    valid[2:, PIXEL:] = False
    indices, known = coarse_indices(image, valid, (0, 1, 2))
    assert known.all()
    np.testing.assert_allclose(indices[:, 0, 0], [300, 400 / 600, -200 / 800], rtol=1e-6)
    np.testing.assert_allclose(indices[:, 0, 1], [400, 400 / 800, -200 / 1000], rtol=1e-6)


def test_a_coarse_pixel_without_valid_pixels_has_no_data() -> None:
    valid = np.ones((6, 10), bool)
    valid[4:, 8:] = False
    indices, known = coarse_indices(np.ones((3, 6, 10), np.float32), valid, (0, 1, 2))
    assert known.tolist() == [[True, True, True], [True, True, False]]
    assert indices[0].tolist() == [[1, 1, 1], [1, 1, 0]]


def test_shares_of_a_hand_made_scene_of_three_cells() -> None:
    side = CELL // PIXEL
    indices = np.zeros((3, side, 3 * side), np.float32)
    indices[0, :, :side] = 1  # the first cell is bright
    indices[1, : side // 2, :side] = 1  # its upper half is green too
    indices[2, :, 2 * side :] = 1  # the third cell is wet
    known = np.ones((side, 3 * side), bool)
    known[:, side : 2 * side] = False  # the second cell has no data
    counts = cell_counts(indices, known, (0.5, 0.5, 0.5))
    features = cell_features(counts)
    assert features.shape == (3, FEATURES)
    kinds = features[:, :24].reshape(3, len(RADII), 6)
    # bright, green, wet, bright and green, bright and wet, green and wet
    assert kinds[:, 0].tolist() == [[1, 0.5, 0, 0.5, 0, 0], [0] * 6, [0, 0, 1, 0, 0, 0]]
    assert kinds[0, 1].tolist() == [1, 0.5, 0, 0.5, 0, 0]
    assert kinds[1, 1].tolist() == [0.5, 0.25, 0.5, 0.25, 0, 0]
    assert kinds[:, 2].tolist() == [[0.5, 0.25, 0.5, 0.25, 0, 0]] * 3
    assert features[:, 24] == pytest.approx([2 / 3] * 3)


def test_a_core_is_screened_with_whole_cells_and_their_surroundings() -> None:
    window = grown_window(Window(1000, 500, 100, 60), height=2000, width=1100)
    assert (window.col_off, window.row_off) == ((1000 // CELL - REACH) * CELL, (500 // CELL - REACH) * CELL)
    assert window.col_off + window.width == 1100
    assert (window.row_off + window.height) % CELL == 0
    assert grown_window(Window(0, 0, 40, 40), 40, 40) == Window(0, 0, 40, 40)
