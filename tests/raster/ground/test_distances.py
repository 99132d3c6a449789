from pathlib import Path

import pytest
from rasterio import Affine
from rasterio.crs import CRS

from seg.raster.grid import Grid
from seg.raster.ground.distances import ground_pixel, near_pairs

UTM_33N, UTM_32N, WEB_MERCATOR, WGS84 = 32633, 32632, 3857, 4326


def grid(corner: tuple[float, float], pixel: float = 10, crs: int | None = UTM_33N, size: int = 100) -> Grid:
    """A square north-up raster; `size` is the number of pixels along a side."""
    place = Affine(pixel, 0, corner[0], 0, -pixel, corner[1])
    return Grid(Path("a.tif"), size, size, 1, None if crs is None else CRS.from_epsg(crs), place, None, "uint8")


def test_pixels_of_a_projected_grid_have_their_nominal_size() -> None:
    assert ground_pixel(grid((500_000, 5_000_000))) == (10.0, 10.0)


def test_pixels_of_a_geographic_grid_are_measured_where_they_are_smallest() -> None:
    height, width = ground_pixel(grid((15.0, 60.0), 0.001, WGS84)) or (0, 0)
    assert height == pytest.approx(111.4, abs=0.1)
    assert width == pytest.approx(55.8, abs=0.1)


def test_web_mercator_units_are_not_ground_distances() -> None:
    assert ground_pixel(grid((1_500_000, 8_399_737), 10, WEB_MERCATOR)) == pytest.approx((5, 5), rel=0.01)


def test_rasters_without_a_crs_have_no_pixel_size_and_no_neighbour() -> None:
    lost = grid((500_000, 5_000_000), crs=None)
    assert ground_pixel(lost) is None
    assert near_pairs([lost, lost], 100) == []


@pytest.mark.parametrize(("gap", "near"), [(-50, True), (0, True), (99, True), (100, False), (5000, False)])
def test_rasters_are_near_if_their_gap_is_smaller_than_the_guard(gap: float, near: bool) -> None:
    pair = [grid((500_000, 5_000_000)), grid((501_000 + gap, 5_000_000))]
    assert near_pairs(pair, 100) == ([(0, 1)] if near else [])


@pytest.mark.parametrize(("gap", "near"), [(-10, True), (0, False)])
def test_without_a_guard_rasters_may_touch_but_not_overlap(gap: float, near: bool) -> None:
    pair = [grid((500_000, 5_000_000)), grid((501_000 + gap, 5_000_000))]
    assert near_pairs(pair, 0) == ([(0, 1)] if near else [])


def test_a_raster_inside_another_is_near() -> None:
    assert near_pairs([grid((500_000, 5_000_000), size=1000), grid((504_000, 4_996_000))], 100) == [(0, 1)]


@pytest.mark.parametrize(("shift", "near"), [(0.0, True), (0.0125, True), (0.02, False)])
def test_distance_between_two_crss_is_measured_on_the_ground(shift: float, near: bool) -> None:
    # The UTM scene extends 1000 m east of 15 degrees, which is 0.01270 degrees at this latitude.
    pair = [grid((500_000, 5_000_000)), grid((15.0 + shift, 45.153), 0.0001, WGS84)]
    assert near_pairs(pair, 100) == ([(0, 1)] if near else [])


def test_neighbours_across_the_date_line_are_found() -> None:
    pair = [grid((179.99, 10), 0.0001, WGS84), grid((-180, 10), 0.0001, WGS84)]
    assert near_pairs(pair, 100) == [(0, 1)]


def test_neighbours_in_two_zones_are_found() -> None:
    # 12 degrees east, the border of the zones, lies at 735 km in the western zone and at 264 km in the eastern zone.
    pair = [grid((735_500, 5_000_000), crs=UTM_32N), grid((264_000, 5_000_000), crs=UTM_33N)]
    assert near_pairs(pair, 100) == [(0, 1)]
