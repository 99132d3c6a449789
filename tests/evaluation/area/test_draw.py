from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from seg.evaluation.area.draw import draw
from seg.evaluation.area.population import Population

WriteRaster = Callable[..., Path]


@pytest.mark.parametrize("size", [16, 1024])
def test_pixels_belong_to_their_stratum_and_are_drawn_once(class_map: Path, size: int) -> None:
    population = Population(class_map)
    strata = population.tally()
    drawn = draw(population, strata, np.array([300, 200]), seed=1, size=size)
    assert np.bincount(drawn.stratum).tolist() == [300, 200]
    assert len(np.unique(drawn.row * 80 + drawn.column)) == 500
    assert drawn.row.max() < 58
    np.testing.assert_array_equal(drawn.column < 27, drawn.stratum == 1)


def test_seed_determines_the_draw(class_map: Path) -> None:
    population = Population(class_map)
    strata = population.tally()
    first, again, other = (draw(population, strata, np.array([20, 20]), seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.row, again.row)
    assert (first.row != other.row).any()


def test_order_does_not_reveal_the_strata(class_map: Path) -> None:
    population = Population(class_map)
    drawn = draw(population, population.tally(), np.array([100, 100]), seed=0)
    assert 30 < np.count_nonzero(drawn.stratum[:100]) < 70


def test_pixels_of_a_stratum_are_drawn_with_equal_probability(write_raster: WriteRaster, tmp_path: Path) -> None:
    pixels = np.zeros((8, 9), np.uint8)
    pixels[2:6, 1:7] = 1
    population = Population(write_raster(tmp_path / "map.tif", pixels))
    strata = population.tally()
    times = np.zeros((8, 9))
    for seed in range(400):
        drawn = draw(population, strata, np.array([12, 6]), seed, size=4)
        times[drawn.row, drawn.column] += 1
    # Each pixel is drawn in about 100 of 400 samples, with a standard deviation of 8.7; four standard deviations bound
    # all 72 pixels.
    assert np.abs(times - 100).max() < 4 * 8.7


def test_whole_stratum_can_be_drawn(class_map: Path) -> None:
    population = Population(class_map)
    strata = population.tally()
    drawn = draw(population, strata, np.array([stratum.pixels for stratum in strata]), seed=0)
    assert len(np.unique(drawn.row * 80 + drawn.column)) == 58 * 80
