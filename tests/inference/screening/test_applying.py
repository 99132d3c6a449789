import numpy as np
import pytest
from rasterio.windows import Window

from seg.inference.screening.applying import closed, screen_core
from seg.inference.screening.features import CELL, SQUARE, grown_window
from seg.raster.chips import Chip
from support.screeners import green_screener

HEIGHT, WIDTH = 11 * CELL + 5, 14 * CELL + 20


@pytest.fixture
def chip() -> Chip:
    random = np.random.default_rng(0)
    image = random.normal(2000, 60, (3, HEIGHT, WIDTH)).astype(np.float32)
    image[2, : 6 * CELL, : 7 * CELL] += 2500
    image[2, 9 * CELL + 3 :, 12 * CELL :] += 2500
    valid = np.ones((HEIGHT, WIDTH), bool)
    valid[:50, -50:] = False
    return Chip(image, valid)


def part(chip: Chip, window: Window) -> Chip:
    rows, columns = window.toslices()
    return Chip(chip.image[:, rows, columns], chip.valid[rows, columns])


def test_a_cell_is_screened_only_together_with_a_whole_square() -> None:
    logits = np.full((9, 9), -5.0)
    logits[4, 4] = 3
    scores = closed(logits)
    assert (scores == 3).sum() == 1  # every other cell lies in a square without this cell
    logits[4, :] = logits[:, 4] = 3
    assert (closed(logits)[:4, :4] == -5).all() == (SQUARE <= 4)
    logits[2, :] = 3
    assert (closed(logits)[3, :4] == 3).all()  # a strip of one row holds no square
    assert (closed(logits)[:2, :4] == -5).all()  # a strip at the edge continues beyond it


def test_screening_does_not_depend_on_the_cut_into_blocks(chip: Chip) -> None:
    screener, whole = green_screener(), Window(0, 0, WIDTH, HEIGHT)
    expected = screen_core(screener, chip, whole, whole)
    assert 0.2 < expected.screened.mean() < 0.9
    assert not expected.screened[: 6 * CELL, : 7 * CELL].any()
    for top, left, height, width in ((0, 0, 100, 130), (150, 77, 90, 300), (HEIGHT - 60, WIDTH - 41, 60, 41)):
        core = Window(left, top, width, height)
        window = grown_window(core, HEIGHT, WIDTH)
        found = screen_core(screener, part(chip, window), window, core)
        rows, columns = core.toslices()
        np.testing.assert_array_equal(found.screened, expected.screened[rows, columns])
        np.testing.assert_array_equal(found.percent, expected.percent[rows, columns])


def test_cells_unlike_the_training_cells_are_never_screened(chip: Chip) -> None:
    whole = Window(0, 0, WIDTH, HEIGHT)
    # The distance is the root mean square of the features, of which only the share of data is not 0 on bare ground.
    near, far = (screen_core(green_screener(limit=limit), chip, whole, whole) for limit in (0.21, 0.05))
    complete = slice(10 * CELL, None), slice(0, 5 * CELL)
    assert near.screened[complete].all()
    assert not far.screened[complete].any()


def test_an_infinite_cut_screens_nothing(chip: Chip) -> None:
    whole = Window(0, 0, WIDTH, HEIGHT)
    assert not screen_core(green_screener(cut=-np.inf), chip, whole, whole).screened[chip.valid].any()


def test_screened_pixels_get_the_probability_of_the_screener(chip: Chip) -> None:
    whole = Window(0, 0, WIDTH, HEIGHT)
    found = screen_core(green_screener(layers=((np.zeros((1, 25)), np.array([-3.0])),), cut=-2.0), chip, whole, whole)
    assert found.screened.all()
    assert set(np.unique(found.percent[chip.valid])) == {5}  # 1 / (1 + exp(3)) = 4.7 %
