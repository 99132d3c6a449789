from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg.inference.halo import Sample, halo_candidates, measured_halo
from seg.inference.predictor import Predictor

MakePredictor = Callable[..., Predictor]


@given(st.integers(1, 64), st.integers(0, 50))
def test_candidates_rise_on_the_alignment_up_to_the_limit(alignment: int, multiple: int) -> None:
    limit = alignment * multiple
    halos = halo_candidates(alignment, limit)
    assert halos[-1] == limit
    assert halos == sorted(set(halos))
    assert all(halo % alignment == 0 for halo in halos)


def sample(predictor: Predictor, core: int = 128, seed: int = 0) -> Sample:
    limit = predictor.receptive_field
    side = core + 2 * limit
    image = np.random.default_rng(seed).normal(2000, 300, size=(3, side, side)).astype(np.float32)
    inner = slice(limit, limit + core)
    return Sample(image, (inner, inner), np.ones((core, core), bool))


def change(predictor: Predictor, place: Sample, halo: int) -> float:
    full = place.probability(predictor, predictor.receptive_field)
    return float(np.abs(place.probability(predictor, halo) - full).max())


def test_a_sample_is_computed_as_a_block_with_that_halo_is(make_predictor: MakePredictor) -> None:
    predictor = make_predictor()
    place, reach = sample(predictor), predictor.receptive_field
    assert place.image.shape[1] == 128 + 2 * reach
    whole = predictor.probability(place.image)[reach:-reach, reach:-reach]
    np.testing.assert_array_equal(place.probability(predictor, reach), whole)
    bare = predictor.probability(place.image[:, reach:-reach, reach:-reach])
    np.testing.assert_array_equal(place.probability(predictor, 0), bare)


def test_a_measured_halo_leaves_a_margin_within_the_tolerance(make_predictor: MakePredictor) -> None:
    predictor, tolerance = make_predictor(), 0.02
    limit = predictor.receptive_field
    halo = measured_halo(predictor, [sample(predictor)], limit, tolerance)
    candidates = halo_candidates(predictor.alignment, limit)
    assert halo < limit
    for enough in (halo, candidates[candidates.index(halo) - 1]):
        assert change(predictor, sample(predictor), enough) <= tolerance / 2


def test_the_worst_sample_decides_wherever_it_comes(make_predictor: MakePredictor) -> None:
    predictor = make_predictor()
    limit, calm, lively = predictor.receptive_field, sample(predictor), sample(predictor)
    calm.image[:] = 2000
    alone = measured_halo(predictor, [lively], limit, 0.02)
    assert measured_halo(predictor, [lively, calm], limit, 0.02) == alone
    assert measured_halo(predictor, [calm, lively], limit, 0.02) == alone


def test_a_stricter_tolerance_never_wants_less_halo(make_predictor: MakePredictor) -> None:
    predictor = make_predictor()
    limit = predictor.receptive_field
    halos = [measured_halo(predictor, [sample(predictor)], limit, tolerance) for tolerance in (0.5, 0.05, 0.005, 0.0)]
    assert halos == sorted(halos)
    assert halos[0] < limit == halos[-1]


def test_what_a_cut_changes_where_nothing_is_valid_does_not_count(make_predictor: MakePredictor) -> None:
    predictor, place = make_predictor(), sample(make_predictor())
    limit = predictor.receptive_field
    place.valid[:] = False
    assert measured_halo(predictor, [place], limit, 1e-6) == halo_candidates(predictor.alignment, limit)[1]


def test_one_small_change_by_chance_does_not_end_the_search(
    make_predictor: MakePredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of 8, 16, 24, ... the change at 16 is small, that at 24 is not.
    small = {16, 40, 48, 56, 64}

    def probability(place: Sample, predictor: Predictor, halo: int) -> np.ndarray:
        return np.full((128, 128), 0.0 if halo in small else 0.1, np.float32)

    predictor = make_predictor()
    monkeypatch.setattr(Sample, "probability", probability)
    assert measured_halo(predictor, [sample(predictor)], 64, tolerance=0.05) == 48


def test_without_samples_the_whole_receptive_field_is_taken(make_predictor: MakePredictor) -> None:
    assert measured_halo(make_predictor(), [], limit=128, tolerance=0.01) == 128
