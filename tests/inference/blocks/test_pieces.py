from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.windows import Window

from seg.inference.blocks.pieces import start_core, valid_pieces
from seg.inference.compute.predictor import Predictor
from seg.raster.chips import Chip
from seg.raster.windows import Block

MakePredictor = Callable[..., Predictor]


@settings(deadline=None)
@given(st.integers(1, 900), st.integers(1, 900), st.integers(0, 12), st.sampled_from([8, 24]), st.integers(0, 10**6))
def test_pieces_hold_every_valid_pixel_once_and_begin_aligned(
    height: int, width: int, halos: int, alignment: int, seed: int
) -> None:
    random, halo = np.random.default_rng(seed), halos * alignment
    core = slice(halo, halo + height), slice(0, width)
    valid = np.zeros((height + 2 * halo, width + halo), bool)
    for _ in range(int(random.integers(1, 5))):
        # The validity of halos must not count.
        top, left = int(random.integers(height)) + halo, int(random.integers(width))
        valid[top : top + int(random.integers(1, 300)), left : left + int(random.integers(1, 300))] = True
    seen = np.zeros(valid.shape, int)
    for rows, columns in valid_pieces(valid, core, halo, alignment):
        seen[rows, columns] += 1
        assert rows.start % alignment == columns.start % alignment == 0
    inside = valid[core]
    assert seen[core][inside].min(initial=1) == seen.max() == 1
    assert seen.sum() == seen[core].sum()


def test_a_triangle_of_data_is_computed_without_the_empty_half() -> None:
    side, halo = 4096, 200
    valid = np.tri(side, dtype=bool)
    pieces = valid_pieces(valid, (slice(0, side), slice(0, side)), halo, 8)
    computed = sum(
        (min(rows.stop + halo, side) - max(rows.start - halo, 0))
        * (min(columns.stop + halo, side) - max(columns.start - halo, 0))
        for rows, columns in pieces
    )
    assert computed < 0.87 * side**2


def test_a_block_with_no_or_few_invalid_pixels_stays_whole() -> None:
    core = slice(40, 1000), slice(40, 1000)
    valid = np.ones((1040, 1040), bool)
    assert valid_pieces(valid, core, 40, 8) == [core]
    valid[500, 500] = False
    assert valid_pieces(valid, core, 40, 8) == [core]


@pytest.mark.parametrize("views", [1, 2])
def test_the_estimate_of_pieces_is_that_of_the_whole_block(
    make_predictor: MakePredictor, monkeypatch: pytest.MonkeyPatch, views: int
) -> None:
    monkeypatch.setattr("seg.inference.blocks.pieces.SMALL", 0)
    predictor = make_predictor(dihedral=["identity", "rot90"][:views], uncertainty=views > 1)
    side, halo = 640, predictor.receptive_field
    image = np.random.default_rng(0).normal(2000, 300, (3, side, side)).astype(np.float32)
    valid = np.zeros((side, side), bool)
    valid[:64, :64] = valid[-64:, -64:] = True
    window = Window(0, 0, side, side)
    started: list[int] = []
    start = predictor.start
    predictor.start = lambda pixels: started.append(pixels[0].size) or start(pixels)
    cut = start_core(predictor, Chip(image, valid), Block(0, 0, window, window), halo)()
    assert len(started) > 1
    assert sum(started) < 0.6 * side**2
    whole = start_core(predictor, Chip(image, valid), Block(0, 0, window, window), None)()
    assert started[-1] == side**2
    np.testing.assert_allclose(cut.probability[valid], whole.probability[valid], atol=1e-5)
    if views > 1:
        assert cut.deviation is not None
        assert whole.deviation is not None
        np.testing.assert_allclose(cut.deviation[valid], whole.deviation[valid], atol=1e-4)
