from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st

from seg.inference.compute.predictor import Predictor
from seg.inference.planning.halo import (
    SAMPLES,
    Sample,
    halo_candidates,
    measured_halo,
    samples_within,
    sensitive_samples,
)
from seg.inference.reading import BlockReader
from seg.raster.chips import Reading
from seg.raster.grid import read_grid

MakeScene = Callable[..., Path]
MakePredictor = Callable[..., Predictor]

READER = BlockReader(Reading([1, 2, 3], [0.0, 0.0, 0.0], nodata=0))


@given(st.integers(1, 64), st.integers(0, 50))
def test_candidates_are_ascending_multiples_of_the_alignment_up_to_the_limit(alignment: int, multiple: int) -> None:
    limit = alignment * multiple
    halos = halo_candidates(alignment, limit)
    assert halos[-1] == limit
    assert halos == sorted(set(halos))
    assert all(halo % alignment == 0 for halo in halos)


def sample(predictor: Predictor, core: int = 256, seed: int = 0) -> Sample:
    limit = predictor.receptive_field
    side = core + 2 * limit
    image = np.random.default_rng(seed).normal(2000, 300, size=(3, side, side)).astype(np.float32)
    inner = slice(limit, limit + core)
    return Sample(image, (inner, inner), np.ones((core, core), bool))


def change(predictor: Predictor, place: Sample, halo: int) -> float:
    """Largest change at `halo` or more pixels from the edge of the sample's core if only the core is read."""
    limit, side = predictor.receptive_field, place.valid.shape[0]
    inner = slice(halo, side - halo)
    whole = predictor.probability(place.image)[limit : limit + side, limit : limit + side]
    block = predictor.probability(place.image[:, limit : limit + side, limit : limit + side])
    return float(np.abs(whole - block)[inner, inner].max())


def test_a_sample_measures_the_smallest_sufficient_halo(make_predictor: MakePredictor) -> None:
    predictor = make_predictor()
    halo = sample(predictor).halo(predictor, 0.02)
    assert halo is not None
    assert change(predictor, sample(predictor), halo) <= 0.02 < change(predictor, sample(predictor), halo - 1)


def test_edges_of_the_scene_are_not_cuts(make_predictor: MakePredictor) -> None:
    predictor = make_predictor()
    place = sample(predictor)
    rows, columns = place.core
    at_the_top = Sample(place.image[:, rows.start :], (slice(0, 256), columns), place.valid)
    assert at_the_top._context()[0, 128] == 127
    assert at_the_top._context()[255, 128] == 0
    alone = Sample(place.image[:, rows, columns], (slice(0, 256), slice(0, 256)), place.valid)
    assert alone.halo(predictor, 0.5) is None


def test_a_core_that_changes_up_to_its_middle_is_not_measured(make_predictor: MakePredictor) -> None:
    predictor = make_predictor()
    assert sample(predictor, core=16).halo(predictor, 1e-6) is None
    assert measured_halo(predictor, [sample(predictor, core=16)], predictor.receptive_field, 1e-6) == (
        predictor.receptive_field
    )


def test_a_measured_halo_leaves_a_margin_within_the_tolerance(make_predictor: MakePredictor) -> None:
    predictor, tolerance = make_predictor(), 0.02
    limit = predictor.receptive_field
    halo = measured_halo(predictor, [sample(predictor)], limit, tolerance)
    candidates = halo_candidates(predictor.alignment, limit)
    assert halo < limit
    for enough in (halo, candidates[candidates.index(halo) - 1]):
        assert change(predictor, sample(predictor), enough) <= tolerance / 2


def test_the_worst_sample_determines_the_halo(make_predictor: MakePredictor) -> None:
    predictor = make_predictor()
    limit, insensitive, sensitive = predictor.receptive_field, sample(predictor), sample(predictor)
    insensitive.image[:] = 2000
    alone = measured_halo(predictor, [sensitive], limit, 0.02)
    assert measured_halo(predictor, [sensitive, insensitive], limit, 0.02) == alone
    assert measured_halo(predictor, [insensitive, sensitive], limit, 0.02) == alone


def test_a_stricter_tolerance_never_reduces_the_halo(make_predictor: MakePredictor) -> None:
    predictor = make_predictor()
    limit = predictor.receptive_field
    halos = [measured_halo(predictor, [sample(predictor)], limit, tolerance) for tolerance in (0.5, 0.05, 0.005, 0.0)]
    assert halos == sorted(halos)
    assert halos[0] < limit == halos[-1]


def test_changes_at_invalid_pixels_do_not_count(make_predictor: MakePredictor) -> None:
    predictor, place = make_predictor(), sample(make_predictor())
    limit = predictor.receptive_field
    place.valid[:] = False
    assert measured_halo(predictor, [place], limit, 1e-6) == halo_candidates(predictor.alignment, limit)[1]


def needing(halo: int, make_predictor: MakePredictor, monkeypatch: pytest.MonkeyPatch) -> int:
    """The halo, at most 128, that is measured if the only sample needs a halo of this size."""
    predictor = make_predictor()
    monkeypatch.setattr(Sample, "halo", lambda sample, predictor, change: halo)
    return measured_halo(predictor, [sample(predictor, core=16)], limit=128, tolerance=0.01)


def test_the_margin_is_one_step_at_both_ends_of_the_last_step(
    make_predictor: MakePredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert halo_candidates(8, 128)[-3:] == [112, 120, 128]
    found = {halo: needing(halo, make_predictor, monkeypatch) for halo in (112, 113, 120, 121, 128)}
    assert found == {112: 120, 113: 128, 120: 128, 121: 128, 128: 128}


def test_without_samples_the_halo_is_the_receptive_field(make_predictor: MakePredictor) -> None:
    assert measured_halo(make_predictor(), [], limit=128, tolerance=0.01) == 128


@pytest.mark.parametrize("shape", [(5, 300), (130, 700), (148, 148), (1500, 1100)])
def test_samples_have_their_context_within_the_scene(
    make_scene: MakeScene, make_predictor: MakePredictor, shape: tuple[int, int]
) -> None:
    grid, predictor = read_grid(make_scene(*shape)), make_predictor()
    samples = list(sensitive_samples(grid, READER, predictor, limit=24))
    core = min(128, -(-max(shape) // 16) * 8)
    assert len(samples) == min(SAMPLES, -(-shape[0] // core) * -(-shape[1] // core))
    with rasterio.open(grid.path) as dataset:
        pixels = dataset.read()
    for sample in samples:
        core = sample.image[(slice(None), *sample.core)]
        assert core.shape[1:] == sample.valid.shape
        row, column = np.argwhere(pixels[0] == sample.image[0, 0, 0])[0] if shape[0] == 5 else (None, None)
        for axis, span in enumerate(sample.core):
            before, after = span.start, sample.image.shape[axis + 1] - span.stop
            assert before in {0, 24}
            assert after <= 24
        if row is not None:
            height, width = sample.image.shape[1:]
            np.testing.assert_array_equal(sample.image, pixels[:, row : row + height, column : column + width])


def test_samples_of_uncertain_pixels_come_first(
    make_scene: MakeScene, make_predictor: MakePredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor, scene = make_predictor(), make_scene(1280, 1280)
    with rasterio.open(scene, "r+") as dataset:
        sure = np.full((3, 1280, 1280), 2000, np.uint16)
        sure[:, 512:768, 768:1024] = 1000
        dataset.write(sure)

    def probability(image: np.ndarray) -> np.ndarray:
        return np.where(image[0] == 1000, np.float32(0.5), np.float32(0.99))

    monkeypatch.setattr(predictor, "probability", probability)
    (sample,) = sensitive_samples(read_grid(scene), READER, predictor, limit=64, most=1)
    assert (sample.image[(0, *sample.core)] == 1000).all()


def test_a_scene_without_data_has_no_samples(make_scene: MakeScene, make_predictor: MakePredictor) -> None:
    scene = make_scene(300, 300)
    with rasterio.open(scene, "r+") as dataset:
        dataset.write(np.zeros((3, 300, 300), np.uint16))
    assert list(sensitive_samples(read_grid(scene), READER, make_predictor(), limit=24)) == []


def test_the_number_of_samples_follows_from_their_cost() -> None:
    looking, each = 64 * 64**2, (200 + 2 * 100) ** 2 + 200**2
    assert samples_within(looking + 3 * each, alignment=8, limit=100) == 3
    assert samples_within(looking + 3 * each - 1, alignment=8, limit=100) == 2
    assert samples_within(1000, alignment=8, limit=100) == 0
    assert samples_within(1e12, alignment=8, limit=100) == SAMPLES
