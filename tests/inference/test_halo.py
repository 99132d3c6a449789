from collections.abc import Callable

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from seg.inference.halo import halo_candidates, measured_halo, sample_side
from seg.inference.predictor import Predictor


@given(st.integers(1, 64), st.integers(1, 50))
def test_candidates_rise_on_the_alignment_up_to_the_limit(alignment: int, multiple: int) -> None:
    limit = alignment * multiple
    halos = halo_candidates(alignment, limit)
    assert halos[-1] == limit
    assert halos == sorted(set(halos))
    assert all(halo % alignment == 0 and halo > 0 for halo in halos)


def sample(predictor: Predictor, limit: int) -> np.ndarray:
    side = sample_side(predictor.alignment, limit)
    return np.random.default_rng(0).normal(2000, 300, size=(3, side, side)).astype(np.float32)


def test_measured_halo_keeps_probabilities_within_the_tolerance(make_predictor: Callable[..., Predictor]) -> None:
    predictor, tolerance = make_predictor(), 0.02
    limit = predictor.receptive_field
    image = sample(predictor, limit)
    halo = measured_halo(predictor, [image], limit, tolerance)
    core = slice(limit, image.shape[1] - limit)
    cut = slice(limit - halo, image.shape[1] - limit + halo)
    inner = slice(halo, halo + image.shape[1] - 2 * limit)
    change = np.abs(predictor.probability(image[:, cut, cut])[inner, inner] - predictor.probability(image)[core, core])
    assert change.max() <= tolerance
    assert halo <= limit


def test_a_stricter_tolerance_never_wants_less_halo(make_predictor: Callable[..., Predictor]) -> None:
    predictor = make_predictor()
    limit = predictor.receptive_field
    image = sample(predictor, limit)
    halos = [measured_halo(predictor, [image], limit, tolerance) for tolerance in (0.5, 0.05, 0.005, 0.0)]
    assert halos == sorted(halos)
    assert halos[0] < limit


def test_without_samples_the_whole_receptive_field_is_taken(make_predictor: Callable[..., Predictor]) -> None:
    assert measured_halo(make_predictor(), [], limit=128, tolerance=0.01) == 128
