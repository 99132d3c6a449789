from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rasterio import Affine

from seg.evaluation.counts.tolerances import fitting_tolerances
from seg.raster.grid import Grid, read_grid


@pytest.fixture
def grid(write_raster: Callable[..., Path]) -> Callable[..., Grid]:
    def make(**profile: object) -> Grid:
        return read_grid(write_raster(f"{len(profile)}.tif", np.zeros((30, 30), np.uint8), **profile))

    return make


def test_default_is_one_two_and_four_pixels_in_metres(grid: Callable[..., Grid]) -> None:
    found = fitting_tolerances([grid()], None)
    assert (found.values, found.metric) == ((10, 20, 40), True)
    assert [reach.columns for reach in found.reaches(grid())][:2] == [(1, 0), (2, 1, 0)]


def test_without_a_crs_tolerances_are_pixels(grid: Callable[..., Grid]) -> None:
    plain = grid(crs=None, transform=None)
    found = fitting_tolerances([plain, grid()], [3])
    assert (found.values, found.metric) == ((3,), False)
    assert found.reaches(grid())[0] == found.reaches(plain)[0]


def test_degrees_are_metres_on_the_ground_and_not_square(grid: Callable[..., Grid]) -> None:
    degrees = grid(crs="EPSG:4326", transform=Affine(1e-4, 0, 11, 0, -1e-4, 60))
    found = fitting_tolerances([degrees], None)
    assert found.values[0] == pytest.approx(11.14, abs=0.01)  # the side to the north
    assert [reach.columns for reach in found.reaches(degrees)] == [(1, 0), (3, 3, 0), (7, 7, 6, 5, 0)]


def test_larger_pixels_decide_the_default_of_several_scenes(grid: Callable[..., Grid]) -> None:
    coarse = grid(transform=Affine(30, 0, 500_000, 0, -30, 5_000_000))
    assert fitting_tolerances([grid(), coarse], None).values == (30, 60, 120)


def test_tolerances_given_are_sorted_and_not_repeated(grid: Callable[..., Grid]) -> None:
    assert fitting_tolerances([grid()], [20, 5, 20]).values == (5, 20)
