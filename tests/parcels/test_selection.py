import numpy as np
import shapely

from seg.parcels.selection import noded


def test_shared_edges_get_the_same_vertices() -> None:
    wide, left, right = shapely.box(0, 0, 4, 2), shapely.box(0, 2, 1, 3), shapely.box(1, 2, 4, 3)
    parcels = np.array([wide, left, right])
    assert not shapely.coverage_is_valid(parcels)
    found = noded(parcels)
    assert shapely.coverage_is_valid(found)
    assert shapely.get_num_coordinates(found).tolist() == [6, 5, 5]
    assert shapely.equals(found, parcels).all()


def test_vertices_are_inserted_in_the_direction_of_the_ring() -> None:
    hole = shapely.box(1, 1, 5, 5)
    parcels = np.array([shapely.box(0, 0, 6, 6) - hole, *(shapely.box(x, 1, x + 1, 5) for x in range(1, 5))])
    found = noded(parcels)
    assert shapely.is_valid(found).all()
    assert shapely.coverage_is_valid(found)
    assert len(found[0].interiors[0].coords) == 4 + 2 * 3 + 1


def test_parcels_that_do_not_touch_stay_as_they_are() -> None:
    apart = np.array([shapely.box(0, 0, 2, 2), shapely.box(3, 0, 5, 1)])
    assert noded(apart).tolist() == apart.tolist()
    assert len(noded(apart[:0])) == 0
