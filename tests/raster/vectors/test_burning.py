from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.features
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from rasterio import Affine
from rasterio.crs import CRS
from rasterio.windows import Window

from seg.errors import WriteError
from seg.labels import CROPLAND, IGNORE, OTHER
from seg.raster.chips import ByteMask
from seg.raster.grid import Grid
from seg.raster.vectors.burning import (
    Layer,
    NumberedPolygons,
    burn_window,
    burnt_windows,
    class_layers,
    edge_layer,
    write_mask,
)
from seg.raster.vectors.crossed_pixels import on_lattice
from seg.raster.windows import window_grid
from support.project import SCENES

HEIGHT, WIDTH = 26, 23
WHOLE = Window(0, 0, WIDTH, HEIGHT)


def grid_of(height: int, width: int) -> Grid:
    transform = Affine(10, 0, 500_000, 0, -10, 5_000_000)
    return Grid(Path("image.tif"), height, width, 1, CRS.from_epsg(32633), transform, None, "uint8")


def burnt(
    layers: Sequence[Layer], size: int, outside: int = OTHER, shape: tuple[int, int] = (HEIGHT, WIDTH)
) -> ByteMask:
    """A mask assembled from windows; a pixel that no window covers stays 7."""
    mask = np.full(shape, 7, dtype=np.uint8)
    for window, labels in burnt_windows(list(layers), grid_of(*shape), outside, size):
        mask[window.toslices()] = labels
    return mask


def array_of(*polygons: shapely.Polygon) -> np.ndarray:
    return np.array(polygons, dtype=object)


def cropland(*polygons: shapely.Polygon, all_touched: bool = False) -> list[Layer]:
    return class_layers(array_of(*polygons), np.full(len(polygons), CROPLAND, dtype=np.uint8), all_touched)


@st.composite
def polygon(draw: st.DrawFn) -> shapely.Polygon:
    """A polygon with many vertices exactly on pixel corners and centres."""
    steps = draw(st.sampled_from([1, 2, 3, 256]))
    place = st.tuples(*[st.integers(-8 * steps, 34 * steps)] * 2)
    points = draw(st.lists(place, min_size=3, max_size=6, unique=True))
    shape = shapely.make_valid(shapely.Polygon(np.array(points) / steps))
    parts = [part for part in shapely.get_parts(shapely.get_parts(shape)) if part.geom_type == "Polygon"]
    return parts[0] if parts else shapely.box(2, 2, 5, 5)


polygons = st.lists(polygon(), min_size=1, max_size=4)


@settings(max_examples=15, deadline=None)
@given(shapes=polygons, data=st.data(), all_touched=st.booleans(), buffer=st.integers(0, 3), size=st.integers(1, 30))
def test_mask_is_the_same_for_windows_of_any_size(
    shapes: list[shapely.Polygon], data: st.DataObject, all_touched: bool, buffer: int, size: int
) -> None:
    labels = np.array([data.draw(st.sampled_from([OTHER, CROPLAND, IGNORE])) for _ in shapes], dtype=np.uint8)
    layers = class_layers(array_of(*shapes), labels, all_touched)
    layers += [edge_layer(array_of(*shapes), buffer)] if buffer else []
    np.testing.assert_array_equal(burnt(layers, size), burn_window(layers, WHOLE, OTHER))


@settings(max_examples=15, deadline=None)
@given(shapes=polygons, size=st.integers(3, 30))
def test_windows_together_equal_rasterio_on_the_whole_raster(shapes: list[shapely.Polygon], size: int) -> None:
    placed = shapely.transform(array_of(*shapes), on_lattice)
    whole = rasterio.features.rasterize(placed, (HEIGHT, WIDTH), dtype="uint8")
    np.testing.assert_array_equal(burnt(cropland(*shapes), size), whole)


@settings(max_examples=10, deadline=None)
@given(shape=polygon(), size=st.integers(5, 30))
def test_all_touched_burns_exactly_the_partly_covered_pixels(shape: shapely.Polygon, size: int) -> None:
    placed = shapely.transform(shape, on_lattice)
    # On the lattice, slivers may collapse to lines, whose area in shapely is 0.
    assume(placed.is_valid and placed.area > 0)
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    covered = shapely.area(shapely.intersection(shapely.box(x, y, x + 1, y + 1), placed)) > 1e-9
    np.testing.assert_array_equal(burnt(cropland(shape, all_touched=True), size) == CROPLAND, covered)


def test_all_touched_adds_no_pixels_around_a_polygon_on_the_pixel_grid() -> None:
    square = shapely.box(3, 4, 9, 11)
    np.testing.assert_array_equal(burnt(cropland(square, all_touched=True), 8), burnt(cropland(square), 8))


def test_all_touched_burns_a_polygon_smaller_than_a_pixel() -> None:
    mask = burnt(cropland(shapely.box(5.1, 6.1, 5.2, 6.2), all_touched=True), 4)
    assert np.argwhere(mask == CROPLAND).tolist() == [[6, 5]]


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 2, 0]])
def test_ignore_wins_over_cropland_and_cropland_over_other_in_any_order(order: list[int]) -> None:
    shapes = array_of(shapely.box(0, 0, 9, 9), shapely.box(3, 0, 9, 9), shapely.box(6, 0, 9, 9))
    labels = np.array([OTHER, CROPLAND, IGNORE], dtype=np.uint8)
    mask = burnt(class_layers(shapes[order], labels[order], False), 5, outside=IGNORE)
    assert mask[0].tolist() == [OTHER] * 3 + [CROPLAND] * 3 + [IGNORE] * (WIDTH - 6)


@pytest.mark.parametrize("width", [1, 2, 3])
def test_edges_are_ignored_with_the_given_width(width: int) -> None:
    field = shapely.box(8, 8, 18, 18)
    mask = burnt([*cropland(field), edge_layer(array_of(field), width)], 7)
    line = [OTHER] * (8 - width) + [IGNORE] * 2 * width + [CROPLAND] * (10 - 2 * width) + [IGNORE] * 2 * width
    assert mask[13].tolist() == line + [OTHER] * (WIDTH - len(line))
    assert mask[:, 13].tolist() == line + [OTHER] * (HEIGHT - len(line))


def test_edge_between_two_touching_parcels_is_ignored() -> None:
    fields = array_of(shapely.box(0, 0, 10, 26), shapely.box(10, 0, 23, 26))
    mask = burnt([*cropland(*fields), edge_layer(fields, 1)], 9)
    assert np.flatnonzero(mask[13] == IGNORE).tolist() == [0, 9, 10, 22]


def test_edge_of_a_hole_is_ignored() -> None:
    field = shapely.box(2, 2, 20, 20).difference(shapely.box(8, 8, 14, 14))
    mask = burnt([*cropland(field), edge_layer(array_of(field), 1)], 9)
    assert np.flatnonzero(mask[11] == IGNORE).tolist() == [1, 2, 7, 8, 13, 14, 19, 20]
    assert mask[11, 11] == OTHER


def test_ignored_edges_are_the_pixels_whose_centre_lies_near_an_edge() -> None:
    field = shapely.Polygon([(3.3, 4.1), (19.7, 7.2), (11.4, 21.9)])
    mask = burnt([edge_layer(array_of(field), 3)], 10)
    x, y = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    distance = shapely.distance(shapely.points(x, y), field.boundary)
    clear = np.abs(distance - 3) > 0.03  # excludes pixels where the approximation of circles by polygons matters
    assert clear.mean() > 0.95
    np.testing.assert_array_equal((mask == IGNORE)[clear], (distance < 3)[clear])


def test_hole_keeps_the_label_of_outside() -> None:
    field = shapely.box(2, 2, 20, 20).difference(shapely.box(8, 8, 14, 14))
    mask = burnt(cropland(field), 6, outside=IGNORE)
    assert (mask[11, 11], mask[4, 4], mask[0, 0]) == (IGNORE, CROPLAND, IGNORE)


def test_only_polygons_near_a_window_are_rasterised(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    rasterize = rasterio.features.rasterize

    def counted(shapes: Sequence[object], *args: object, **kwargs: object) -> object:
        seen.append(len(shapes))
        return rasterize(shapes, *args, **kwargs)

    monkeypatch.setattr(rasterio.features, "rasterize", counted)
    fields = [shapely.box(x + 0.2, y + 0.2, x + 0.8, y + 0.8) for x in range(20) for y in range(20)]
    burn_window(cropland(*fields), Window(4, 4, 2, 2), OTHER)
    assert seen == [4]


@pytest.mark.parametrize("size", [64, 2048])
def test_file_has_the_image_grid_and_counts_its_pixels(tmp_path: Path, size: int) -> None:
    grid = grid_of(600, 700)
    layers = cropland(shapely.box(10, 20, 650, 530))
    counts = write_mask(tmp_path / "mask.tif", grid, burnt_windows(layers, grid, OTHER, size))
    assert (counts[CROPLAND], counts.sum()) == (640 * 510, 600 * 700)
    with rasterio.open(tmp_path / "mask.tif") as mask:
        assert (mask.height, mask.width, mask.crs, mask.transform) == (600, 700, grid.crs, grid.transform)
        assert (mask.dtypes, mask.nodata, mask.profile["tiled"]) == (("uint8",), IGNORE, True)
        assert mask.compression is not None
        assert mask.compression.name == "deflate"
        np.testing.assert_array_equal(mask.read(1), burnt(layers, 700, shape=(600, 700)))


def test_windows_are_burnt_one_by_one_while_writing(tmp_path: Path) -> None:
    grid = grid_of(64, 64)
    alive: list[str] = []

    def parts() -> Iterator[tuple[Window, ByteMask]]:
        for window, labels in burnt_windows(cropland(shapely.box(0, 0, 9, 9)), grid, OTHER, 16):
            alive.append("burnt")
            yield window, labels
            alive.append("written")

    write_mask(tmp_path / "mask.tif", grid, parts())
    assert alive == ["burnt", "written"] * 16


def test_failure_midway_leaves_the_older_mask_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "mask.tif").write_bytes(b"older")

    def parts() -> Iterator[tuple[Window, ByteMask]]:
        yield Window(0, 0, 4, 4), np.zeros((4, 4), dtype=np.uint8)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_mask(tmp_path / "mask.tif", grid_of(8, 8), parts())
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("mask.tif", b"older")]


def test_folder_that_cannot_be_written_is_an_error_with_the_path(unwritable: Path) -> None:
    grid = grid_of(8, 8)
    with pytest.raises(WriteError, match=r"mask\.tif: cannot be written"):
        write_mask(unwritable / "mask.tif", grid, burnt_windows([], grid, OTHER))


def test_published_mask_equals_its_burnt_polygons() -> None:
    path = SCENES / "dk_lpis_s2" / "masks" / "dk_lpis_2016.tif"
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    with rasterio.open(path) as dataset:
        mask = dataset.read(1)
    shapes = [shapely.geometry.shape(shape) for shape, value in rasterio.features.shapes(mask) if value == CROPLAND]
    np.testing.assert_array_equal(burnt(cropland(*shapes), 100, shape=mask.shape), mask)


SIDE = 24
coordinates = st.floats(-4, SIDE + 4)
corners = st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=5)


def polygons(*shapes: shapely.Polygon) -> np.ndarray:
    return np.array(shapes, dtype=object)


@settings(max_examples=15, deadline=None)
@given(st.lists(corners, min_size=1, max_size=6), st.integers(1, 25))
def test_numbers_do_not_depend_on_the_windows(shapes: list[list[tuple[float, float]]], size: int) -> None:
    hulls = [shapely.Polygon(shape).convex_hull for shape in shapes]
    burnt = NumberedPolygons(polygons(*(hull for hull in hulls if hull.geom_type == "Polygon")))
    whole = burnt.read(Window(0, 0, SIDE, SIDE))
    for window in window_grid(SIDE, SIDE, size, size):
        assert (burnt.read(window) == whole[window.toslices()]).all()


def test_touching_neighbours_have_different_numbers() -> None:
    burnt = NumberedPolygons(polygons(shapely.box(0, 0, 3, 4), shapely.box(3, 0, 6, 4)))
    assert burnt.read(Window(0, 1, 7, 1)).tolist() == [[1, 1, 1, 2, 2, 2, 0]]
    assert len(burnt) == 2


@pytest.mark.parametrize("last", [0, 1])
def test_the_last_of_overlapping_polygons_wins(last: int) -> None:
    shapes = [shapely.box(0, 0, 4, 1), shapely.box(2, 0, 6, 1)]
    found = NumberedPolygons(polygons(shapes[1 - last], shapes[last])).read(Window(0, 0, 6, 1))
    assert (found[0, 2:4] == 2).all()


def test_without_polygons_nothing_is_numbered() -> None:
    assert not NumberedPolygons(polygons()).read(Window(0, 0, 3, 2)).any()
