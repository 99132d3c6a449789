import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from seg.raster.components import ComponentLabels, UnionFind
from seg.raster.windows import window_grid

masks = hnp.arrays(bool, st.tuples(st.integers(1, 24), st.integers(1, 24)))


def labelled(inside: np.ndarray, size: int) -> np.ndarray:
    height, width = inside.shape
    components = ComponentLabels(width)
    labels = np.zeros(inside.shape, dtype=np.int64)
    for window in window_grid(height, width, size, size):
        labels[window.toslices()] = components.label(window, inside[window.toslices()])
    return components.final()[labels]


@settings(max_examples=150, deadline=None)
@given(masks, st.integers(1, 25))
def test_components_do_not_depend_on_the_windows(inside: np.ndarray, size: int) -> None:
    wanted, count = ndimage.label(inside)
    found = labelled(inside, size)
    assert ((found == 0) == ~inside).all()
    # The labels correspond one to one if there are as many pairs as components in each raster.
    pairs = np.unique(np.stack([wanted[inside], found[inside]]), axis=1)
    assert pairs.shape[1] == count
    assert found.max(initial=0) == count


def test_a_spiral_through_every_window_is_one_component() -> None:
    inside = np.zeros((21, 21), dtype=bool)
    low, high = 0, 20
    while low <= high:
        inside[low, max(low - 2, 0) : high + 1] = inside[low : high + 1, high] = inside[high, low : high + 1] = True
        inside[low + 2 : high + 1, low] = True
        low, high = low + 2, high - 2
    assert ndimage.label(inside)[1] == 1
    assert labelled(inside, 4).max() == 1


def test_pixels_that_meet_at_a_corner_are_two_components() -> None:
    assert labelled(np.eye(2, dtype=bool), 1).max() == 2


def test_sets_joined_in_any_order_have_their_smallest_number() -> None:
    sets = UnionFind()
    sets.add(6)
    sets.join(np.array([[5, 4], [4, 1], [2, 3]]))
    assert sets.roots().tolist() == [0, 1, 2, 2, 1, 1]
