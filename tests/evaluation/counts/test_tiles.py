import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from rasterio.windows import Window

from seg.evaluation.counts.confusion import ConfusionCounts, count_pixels
from seg.evaluation.counts.tiles import TileCounts, as_confusion, worst_windows
from seg.labels import CROPLAND, IGNORE, OTHER
from seg.raster.windows import window_grid

classes = st.sampled_from([OTHER, CROPLAND, IGNORE])
shapes = st.tuples(st.integers(1, 40), st.integers(1, 40))
rasters = shapes.flatmap(lambda shape: st.tuples(*[hnp.arrays(np.uint8, shape, elements=classes)] * 2))


def tiled(mapped: np.ndarray, labels: np.ndarray, size: int, windows: int = 100) -> TileCounts:
    tiles = TileCounts(*mapped.shape, size)
    for window in window_grid(*mapped.shape, windows, windows):
        tiles.add(window, mapped[window.toslices()], labels[window.toslices()])
    return tiles


@settings(max_examples=60, deadline=None)
@given(rasters, st.integers(1, 12), st.integers(1, 41))
def test_tiles_have_the_counts_of_their_pixels_for_any_windows(
    pair: tuple[np.ndarray, np.ndarray], size: int, windows: int
) -> None:
    mapped, labels = pair
    tiles = tiled(mapped, labels, size, windows)
    for number, window in enumerate(window_grid(*mapped.shape, size, size)):
        counts = tiles.counts.reshape(-1, 5)[number]
        here, wanted = mapped[window.toslices()], labels[window.toslices()]
        assert as_confusion(counts) == count_pixels(here, wanted)
        assert counts[4] == np.sum((here == IGNORE) & (wanted != IGNORE))


@settings(max_examples=30, deadline=None)
@given(rasters, st.integers(1, 6), st.integers(1, 5))
def test_blocks_are_sums_of_tiles(pair: tuple[np.ndarray, np.ndarray], size: int, times: int) -> None:
    blocks = tiled(*pair, size).blocks(size * times)
    assert (blocks == tiled(*pair, size * times).counts).all()


def wrong_at(*places: tuple[int, int, int]) -> TileCounts:
    """Counts of a scene of 20 by 30 pixels; places are row, column and length of runs of wrong pixels."""
    labels = np.zeros((20, 30), dtype=np.uint8)
    mapped = labels.copy()
    for row, column, errors in places:
        mapped[row, column : column + errors] = CROPLAND
    return tiled(mapped, labels, 8)


def test_worst_windows_come_first_and_end_at_the_edge_of_the_scene() -> None:
    found = worst_windows(wrong_at((0, 0, 2), (17, 25, 4), (9, 16, 3)), 8, 2)
    assert [one.window for one in found] == [Window(24, 16, 6, 4), Window(16, 8, 8, 8)]
    assert [one.errors for one in found] == [4, 3]
    assert found[0].counts == ConfusionCounts(fp=4, tn=20)


def test_equally_wrong_windows_are_sorted_in_reading_order() -> None:
    found = worst_windows(wrong_at((17, 1, 1), (0, 20, 1), (0, 1, 1)), 8, 5)
    assert [(one.window.row_off, one.window.col_off) for one in found] == [(0, 0), (0, 16), (16, 0)]


def test_windows_without_an_error_are_not_listed() -> None:
    assert worst_windows(wrong_at(), 8, 5) == []
