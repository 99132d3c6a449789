from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg.inference.compute.predictor import Predictor
from seg.inference.planning.halo import Sample, halo_candidates, measured_halo

MakePredictor = Callable[..., Predictor]


@given(st.integers(1, 64), st.integers(0, 50))
def test_candidates_rise_on_the_alignment_up_to_the_limit(alignment: int, multiple: int) -> None:
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
    """By how much a block with a halo, whose reading ends where the sample's core does, differs from the whole."""
    limit, side = predictor.receptive_field, place.valid.shape[0]
    inner = slice(halo, side - halo)
    whole = predictor.probability(place.image)[limit : limit + side, limit : limit + side]
    block = predictor.probability(place.image[:, limit : limit + side, limit : limit + side])
    return float(np.abs(whole - block)[inner, inner].max())


def test_a_sample_tells_the_fewest_pixels_of_context_that_are_enough(make_predictor: MakePredictor) -> None:
    predictor = make_predictor()
    halo = sample(predictor).halo(predictor, 0.02)
    assert halo is not None
    assert change(predictor, sample(predictor), halo) <= 0.02 < change(predictor, sample(predictor), halo - 1)


def test_the_scenes_own_edges_are_no_cuts(make_predictor: MakePredictor) -> None:
    predictor = make_predictor()
    place = sample(predictor)
    rows, columns = place.core
    at_the_top = Sample(place.image[:, rows.start :], (slice(0, 256), columns), place.valid)
    assert at_the_top._context()[0, 128] == 127
    assert at_the_top._context()[255, 128] == 0
    alone = Sample(place.image[:, rows, columns], (slice(0, 256), slice(0, 256)), place.valid)
    assert alone.halo(predictor, 0.5) is None


def test_a_core_that_changes_to_its_middle_cannot_tell(make_predictor: MakePredictor) -> None:
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


def needing(halo: int, make_predictor: MakePredictor, monkeypatch: pytest.MonkeyPatch) -> int:
    """The halo that is measured up to 128 where a single sample needs so many pixels."""
    predictor = make_predictor()
    monkeypatch.setattr(Sample, "halo", lambda sample, predictor, change: halo)
    return measured_halo(predictor, [sample(predictor, core=16)], limit=128, tolerance=0.01)


def test_the_margin_is_one_step_at_both_ends_of_the_last_step(
    make_predictor: MakePredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert halo_candidates(8, 128)[-3:] == [112, 120, 128]
    found = {halo: needing(halo, make_predictor, monkeypatch) for halo in (112, 113, 120, 121, 128)}
    assert found == {112: 120, 113: 128, 120: 128, 121: 128, 128: 128}


def test_without_samples_the_whole_receptive_field_is_taken(make_predictor: MakePredictor) -> None:
    assert measured_halo(make_predictor(), [], limit=128, tolerance=0.01) == 128
