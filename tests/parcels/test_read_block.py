import numpy as np
import pytest

from seg.parcels.read_block import clusters, components, grown_parcels


def row(text: str) -> np.ndarray:
    return np.array([[int(character) for character in text]])


@pytest.mark.parametrize(
    ("interior", "distance", "wanted"),
    [
        ("010000100", 9, "111122222"),
        ("010001000", 9, "111122222"),
        ("010000100", 1, "111332220"),
        ("000000000", 9, "111111111"),
        ("010000100", 0, "314444255"),
    ],
    ids=["halfway", "a tie goes to the left", "bounded", "no interior", "no growth"],
)
def test_interiors_grow_until_they_meet(interior: str, distance: int, wanted: str) -> None:
    cropland = row("111111110") if wanted == "111332220" else row("111111111")
    found = grown_parcels(cropland > 0, row(interior) > 0, distance)
    np.testing.assert_array_equal(found, row(wanted))


def test_growth_stays_on_cropland() -> None:
    cropland = np.array([[1, 0, 1], [1, 0, 1], [1, 1, 1]], bool)
    interior = np.zeros((3, 3), bool)
    interior[0, 0] = True
    np.testing.assert_array_equal(grown_parcels(cropland, interior, 2), [[1, 0, 2], [1, 0, 2], [1, 2, 2]])


def test_interior_beyond_cropland_does_not_count() -> None:
    assert not grown_parcels(np.zeros((2, 2), bool), np.ones((2, 2), bool), 3).any()


def test_pixels_that_touch_at_a_corner_are_one_cluster_and_two_components() -> None:
    assert (components(np.eye(2, dtype=bool)).max(), clusters(np.eye(2, dtype=bool)).max()) == (2, 1)


def test_cropland_without_an_interior_is_labelled_within_the_part() -> None:
    around = np.array([[1, 0, 1], [1, 0, 1], [1, 1, 1]], bool)
    nowhere = np.zeros((3, 3), bool)
    assert grown_parcels(around, nowhere, 1).max() == 1
    upper = grown_parcels(around, nowhere, 1, (slice(0, 2), slice(None)))
    np.testing.assert_array_equal(upper, [[1, 0, 2], [1, 0, 2]])
