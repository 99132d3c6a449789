import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.windows import Window

from seg.raster.vectors.burning import NumberedPolygons
from seg.raster.windows import window_grid

SIDE = 24
coordinates = st.floats(-4, SIDE + 4)
corners = st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=5)


def polygons(*shapes: shapely.Polygon) -> np.ndarray:
    return np.array(shapes, dtype=object)


@settings(max_examples=60, deadline=None)
@given(st.lists(corners, min_size=1, max_size=6), st.integers(1, 25))
def test_numbers_do_not_depend_on_the_windows(shapes: list[list[tuple[float, float]]], size: int) -> None:
    hulls = [shapely.Polygon(shape).convex_hull for shape in shapes]
    burnt = NumberedPolygons(polygons(*(hull for hull in hulls if hull.geom_type == "Polygon")))
    whole = burnt.read(Window(0, 0, SIDE, SIDE))
    for window in window_grid(SIDE, SIDE, size, size):
        assert (burnt.read(window) == whole[window.toslices()]).all()


def test_neighbours_that_touch_stay_apart() -> None:
    burnt = NumberedPolygons(polygons(shapely.box(0, 0, 3, 4), shapely.box(3, 0, 6, 4)))
    assert burnt.read(Window(0, 1, 7, 1)).tolist() == [[1, 1, 1, 2, 2, 2, 0]]
    assert len(burnt) == 2


@pytest.mark.parametrize("last", [0, 1])
def test_of_polygons_that_overlap_the_last_wins(last: int) -> None:
    shapes = [shapely.box(0, 0, 4, 1), shapely.box(2, 0, 6, 1)]
    found = NumberedPolygons(polygons(shapes[1 - last], shapes[last])).read(Window(0, 0, 6, 1))
    assert (found[0, 2:4] == 2).all()


def test_without_polygons_nothing_is_numbered() -> None:
    assert not NumberedPolygons(polygons()).read(Window(0, 0, 3, 2)).any()
