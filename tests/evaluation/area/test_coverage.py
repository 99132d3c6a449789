"""Coverage of intervals for a known truth, with 1,000 samples of one population."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rasterio import Affine
from rasterio.windows import Window

from seg.evaluation.area.draw import draw
from seg.evaluation.area.estimator import StratifiedSample, Stratum
from seg.evaluation.area.population import Population
from seg.labels import CROPLAND, OTHER
from seg.raster.ground.pixel_areas import PixelAreas

REPETITIONS = 1000
POINTS = (150, 250)


class World:
    """A synthetic population: mapped and true classes and ground areas of 60,000 pixels."""

    def __init__(self, unequal: bool) -> None:
        random = np.random.default_rng(7)
        latitude = random.uniform(0, 75, 60_000)
        self.area = np.cos(np.radians(latitude)) if unequal else np.ones(60_000)
        # Cropland lies where pixels are large. The map omits a third of the cropland and has some commission errors.
        self.true = np.where(random.random(60_000) < np.where(latitude < 30, 0.6, 0.15), CROPLAND, OTHER)
        right = random.random(60_000) < np.where(self.true == CROPLAND, 0.67, 0.94)
        self.mapped = np.where(right, self.true, 1 - self.true)
        self.members = [np.flatnonzero(self.mapped == label) for label in (OTHER, CROPLAND)]
        self.strata = [Stratum("", float(self.area[members].sum()), len(members)) for members in self.members]

    def samples(self, weighted: bool) -> list[StratifiedSample]:
        random = np.random.default_rng(11)
        found = []
        for _ in range(REPETITIONS):
            drawn = [
                members[random.choice(len(members), count, replace=False)]
                for members, count in zip(self.members, POINTS, strict=True)
            ]
            pixels, stratum = np.concatenate(drawn), np.repeat([0, 1], POINTS)
            areas = self.area[pixels] if weighted else None
            found.append(StratifiedSample(self.strata, stratum, self.mapped[pixels], self.true[pixels], areas))
        return found


@pytest.mark.parametrize("unequal", [False, True], ids=["equal pixels", "unequal pixels"])
def test_intervals_cover_the_truth_at_their_confidence_and_the_pixel_count_is_biased(unequal: bool) -> None:
    world = World(unequal)
    crop, mapped = world.true == CROPLAND, world.mapped == CROPLAND
    truth, counted = world.area[crop].sum(), world.area[mapped].sum()
    users = world.area[crop & mapped].sum() / counted
    producers = world.area[crop & mapped].sum() / truth
    overall = world.area[crop == mapped].sum() / world.area.sum()
    held = np.zeros(4)
    around_count = 0
    for sample in world.samples(weighted=unequal):
        area = sample.area(CROPLAND)
        found = [area, sample.users_accuracy(CROPLAND), sample.producers_accuracy(CROPLAND), sample.overall_accuracy()]
        for place, (estimate, value) in enumerate(zip(found, (truth, users, producers, overall), strict=True)):
            assert estimate is not None
            low, high = estimate.interval(0.95)
            held[place] += low <= value <= high
        half = (area.interval(0.95)[1] - area.interval(0.95)[0]) / 2
        around_count += abs(counted - truth) <= half
    assert (held / REPETITIONS > 0.93).all(), held
    assert (held / REPETITIONS < 0.97).all(), held
    assert around_count / REPETITIONS < 0.05


def test_without_area_weights_intervals_miss_the_truth() -> None:
    world = World(unequal=True)
    truth = world.area[world.true == CROPLAND].sum()
    intervals = [sample.area(CROPLAND).interval(0.95) for sample in world.samples(weighted=False)]
    assert np.mean([low <= truth <= high for low, high in intervals]) < 0.9


def test_estimates_are_unbiased_and_standard_errors_are_right() -> None:
    world = World(unequal=True)
    truth = world.area[world.true == CROPLAND].sum()
    found = [sample.area(CROPLAND) for sample in world.samples(weighted=True)]
    values, errors = (np.array([getattr(one, name) for one in found]) for name in ("value", "standard_error"))
    assert abs(values.mean() - truth) < 4 * values.std() / np.sqrt(REPETITIONS)
    assert errors.mean() == pytest.approx(values.std(), rel=0.08)


@pytest.mark.campaign
def test_intervals_from_a_raster_in_degrees_cover_the_truth(write_raster: Callable[..., Path], tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    true = (random.random((80, 100)) < np.linspace(0.1, 0.7, 80)[:, None]).astype(np.uint8)
    mapped = np.where(random.random(true.shape) < 0.15, 1 - true, true).astype(np.uint8)
    population = Population(
        write_raster(tmp_path / "map.tif", mapped, crs="EPSG:4326", transform=Affine(0.2, 0, 100, 0, -0.9, 75))
    )
    strata = population.tally()
    areas = PixelAreas(population.grid())
    ground = areas.window(Window(0, 0, 100, 80)) / 1e4
    parts = [Stratum(one.name, one.area_ha, one.pixels) for one in strata]
    assert sum(one.area for one in parts) == pytest.approx(ground.sum())
    held = 0
    for seed in range(200):
        drawn = draw(population, strata, np.array([120, 120]), seed)
        place = drawn.row, drawn.column
        sample = StratifiedSample(parts, drawn.stratum, mapped[place], true[place], areas.at(*place))
        low, high = sample.area(CROPLAND).interval()
        held += low <= ground[true == CROPLAND].sum() <= high
    assert 0.91 < held / 200 < 0.99
