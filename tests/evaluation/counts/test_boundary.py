from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from rasterio import Affine

from seg.evaluation.counts.boundary import BoundaryCounts, count_boundary, fitting_tolerances, reach
from seg.labels import CROPLAND, IGNORE, OTHER
from seg.raster.grid import Grid, read_grid
from seg.raster.windows import plan_blocks

classes = st.sampled_from([OTHER, CROPLAND, IGNORE])
shapes = st.tuples(st.integers(1, 14), st.integers(1, 14))
rasters = shapes.flatmap(lambda shape: st.tuples(*[hnp.arrays(np.uint8, shape, elements=classes)] * 2))
tolerances = st.sampled_from([0, 0.9, 1, 1.5, 2, np.sqrt(5), 4, 30])
pixels = st.sampled_from([(1.0, 1.0), (1.0, 0.7), (0.6, 1.1)])

Pixel = tuple[float, float]


def by_hand(mapped: np.ndarray, labels: np.ndarray, tolerance: float, pixel: Pixel) -> BoundaryCounts:
    """Counts by the definition, computed pixel by pixel."""
    compared = (mapped != IGNORE) & (labels != IGNORE)

    def near(places: np.ndarray, targets: np.ndarray) -> set[tuple[int, int]]:
        found = set()
        for place in places.tolist():
            if any(np.hypot(*((target - place) * pixel)) <= tolerance + 1e-6 for target in targets):
                found.add(tuple(place))
        return found

    def parts(raster: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        cropland, other = (np.argwhere(compared & (raster == label)) for label in (CROPLAND, OTHER))
        edge = [place for place in cropland if any(np.abs(target - place).sum() == 1 for target in other)]
        return cropland, other, np.array(edge).reshape(-1, 2)

    map_crop, map_other, map_edge = parts(mapped)
    true_crop, true_other, true_edge = parts(labels)
    bands = near(map_crop, map_other), near(true_crop, true_other)
    return BoundaryCounts(
        len(map_edge),
        len(near(map_edge, true_edge)),
        len(true_edge),
        len(near(true_edge, map_edge)),
        len(bands[0] & bands[1]),
        len(bands[0] | bands[1]),
    )


def whole(mapped: np.ndarray, labels: np.ndarray, tolerance: float, pixel: Pixel = (1.0, 1.0)) -> BoundaryCounts:
    everything = slice(0, mapped.shape[0]), slice(0, mapped.shape[1])
    return count_boundary(mapped, labels, everything, [reach(tolerance, pixel)])[0]


@settings(max_examples=60, deadline=None)
@given(rasters, tolerances, pixels)
def test_counts_follow_the_definition(pair: tuple[np.ndarray, np.ndarray], tolerance: float, pixel: Pixel) -> None:
    assert whole(*pair, tolerance, pixel) == by_hand(*pair, tolerance, pixel)


@settings(max_examples=100, deadline=None)
@given(rasters, tolerances, pixels, st.integers(1, 15))
def test_counts_of_windows_add_up_to_the_whole(
    pair: tuple[np.ndarray, np.ndarray], tolerance: float, pixel: Pixel, size: int
) -> None:
    mapped, labels = pair
    distance = reach(tolerance, pixel)
    total = BoundaryCounts()
    for block in plan_blocks(*mapped.shape, size, distance.margin):
        place = block.read.toslices()
        total += count_boundary(mapped[place], labels[place], block.core_within_read, [distance])[0]
    assert total == whole(mapped, labels, tolerance, pixel)


def square(shift: int) -> np.ndarray:
    pixels = np.zeros((20, 20), dtype=np.uint8)
    pixels[5:15, 5 + shift : 15 + shift] = CROPLAND
    return pixels


@pytest.mark.parametrize(("tolerance", "f1"), [(0, 0.5), (1, 1.0), (2, 1.0)])
def test_boundary_of_a_parcel_shifted_by_a_pixel_is_right_within_a_tolerance_of_a_pixel(
    tolerance: float, f1: float
) -> None:
    counts = whole(square(1), square(0), tolerance)
    assert counts.f1 == pytest.approx(f1, abs=0.01)


def test_boundary_iou_of_a_parcel_of_ten_pixels_shifted_by_one_is_a_third() -> None:
    # Two rings one pixel wide, of 36 pixels each. They share two sides, except for one pixel at the end of each side.
    counts = whole(square(1), square(0), 1)
    assert (counts.shared, counts.either) == (18, 54)
    assert counts.iou == pytest.approx(1 / 3)


def test_edge_of_the_raster_is_not_a_boundary() -> None:
    everywhere = np.full((5, 5), CROPLAND, dtype=np.uint8)
    counts = whole(everywhere, everywhere, 2)
    assert counts == BoundaryCounts()
    assert (counts.precision, counts.recall, counts.f1, counts.iou) == (None, None, None, None)


def test_missing_boundary_scores_zero() -> None:
    counts = whole(np.zeros((20, 20), dtype=np.uint8), square(0), 3)
    assert (counts.precision, counts.recall, counts.f1, counts.iou) == (None, 0, 0, 0)


def test_boundaries_hidden_by_strips_without_labels_are_not_scored() -> None:
    labels = square(0)
    labels[4:16, 4:16][square(0)[4:16, 4:16] == OTHER] = IGNORE
    counts = whole(square(1), labels, 2)
    assert counts.mapped > 0
    assert counts.reference == 0
    assert (counts.precision, counts.recall, counts.f1, counts.iou) == (None, None, None, None)


@pytest.fixture
def grid(write_raster: Callable[..., Path]) -> Callable[..., Grid]:
    def make(**profile: object) -> Grid:
        return read_grid(write_raster(f"{len(profile)}.tif", np.zeros((30, 30), np.uint8), **profile))

    return make


def test_default_tolerances_are_one_two_and_four_pixels_in_metres(grid: Callable[..., Grid]) -> None:
    found = fitting_tolerances([grid()], None)
    assert (found.values, found.metric) == ((10, 20, 40), True)
    assert [reach.columns for reach in found.reaches(grid())][:2] == [(1, 0), (2, 1, 0)]


def test_without_a_crs_tolerances_are_pixels(grid: Callable[..., Grid]) -> None:
    plain = grid(crs=None, transform=None)
    found = fitting_tolerances([plain, grid()], [3])
    assert (found.values, found.metric) == ((3,), False)
    assert found.reaches(grid())[0] == found.reaches(plain)[0]


def test_degrees_are_converted_to_ground_metres(grid: Callable[..., Grid]) -> None:
    degrees = grid(crs="EPSG:4326", transform=Affine(1e-4, 0, 11, 0, -1e-4, 60))
    found = fitting_tolerances([degrees], None)
    assert found.values[0] == pytest.approx(11.14, abs=0.01)  # length of the side that runs north
    assert [reach.columns for reach in found.reaches(degrees)] == [(1, 0), (3, 3, 0), (7, 7, 6, 5, 0)]


def test_larger_pixels_decide_the_default_tolerances_of_several_scenes(grid: Callable[..., Grid]) -> None:
    coarse = grid(transform=Affine(30, 0, 500_000, 0, -30, 5_000_000))
    assert fitting_tolerances([grid(), coarse], None).values == (30, 60, 120)


def test_given_tolerances_are_sorted_and_not_repeated(grid: Callable[..., Grid]) -> None:
    assert fitting_tolerances([grid()], [20, 5, 20]).values == (5, 20)
