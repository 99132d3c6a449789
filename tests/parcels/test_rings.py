import numpy as np
import shapely
from hypothesis import given
from hypothesis.extra import numpy as hnp
from rasterio.features import shapes
from shapely.geometry import shape

from seg.parcels.corners import corners_of, summed
from seg.parcels.read_block import components
from seg.parcels.rings import Outlines, noded, traced
from support.parcel_maps import normalized

HOLE_IN_HOLE = np.pad(np.pad(np.ones((1, 1), bool), 1), 1, constant_values=True)


def outlines_of(inside: np.ndarray) -> Outlines:
    return traced(summed(corners_of(components(inside), True)))


@given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_outlines_equal_rasterio(inside: np.ndarray) -> None:
    labels = components(inside)
    wanted = [shape(found) for found, _ in shapes(labels, mask=inside)]
    found = outlines_of(inside).polygons()
    assert shapely.is_valid(found).all()
    assert normalized(found) == normalized(wanted)


def test_rings_begin_at_the_top_left_with_shells_downwards_and_holes_to_the_right() -> None:
    outlines = outlines_of(HOLE_IN_HOLE)
    rings = np.split(outlines.vertices, outlines.rings[1:-1])
    assert [ring[:2].tolist() for ring in rings] == [[[0, 0], [0, 5]], [[1, 1], [4, 1]], [[2, 2], [2, 3]]]
    assert outlines.parcels.tolist() == [0, 2, 3]


def test_rings_are_split_where_a_parcel_touches_itself() -> None:
    around = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 0]], bool)
    [polygon] = outlines_of(around).polygons()
    assert (polygon.is_valid, len(polygon.interiors), polygon.area) == (True, 1, 7)


def test_a_raster_without_corners_has_no_outline() -> None:
    assert len(outlines_of(np.zeros((3, 4), bool)).polygons()) == 0


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


def test_parcels_that_do_not_touch_are_unchanged() -> None:
    apart = np.array([shapely.box(0, 0, 2, 2), shapely.box(3, 0, 5, 1)])
    assert noded(apart).tolist() == apart.tolist()
    assert len(noded(apart[:0])) == 0
