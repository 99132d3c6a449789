import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seg.calibration.histogram import (
    BINS,
    CENTRES,
    LIMIT,
    PARTS,
    LogitHistogram,
)
from seg.labels import CROPLAND, IGNORE, OTHER

WIDTH = 2 * LIMIT / BINS


def batch(seed: int, samples: int = 2, side: int = 7) -> tuple[torch.Tensor, torch.Tensor]:
    random = np.random.default_rng(seed)
    logits = random.normal(0, 12, (samples, 1, side, side)).astype(np.float32)
    mask = random.choice(np.array([OTHER, CROPLAND, IGNORE], np.uint8), (samples, side, side))
    return torch.from_numpy(logits), torch.from_numpy(mask)


@given(seed=st.integers(0, 10_000), samples=st.integers(1, 3), turn=st.integers(0, 9))
def test_every_labelled_pixel_is_counted_once_in_its_part_label_and_bin(seed: int, samples: int, turn: int) -> None:
    logits, mask = batch(seed, samples)
    histogram = LogitHistogram()
    histogram.update(logits, mask, turn)
    wanted = np.zeros((PARTS, 2, BINS), dtype=int)
    for sample in range(samples):
        for logit, label in zip(logits[sample].flatten().double(), mask[sample].flatten(), strict=True):
            if label != IGNORE:
                place = min(max(int(np.floor((float(logit) + LIMIT) / WIDTH)), 0), BINS - 1)
                wanted[(sample + turn) % PARTS, int(label == CROPLAND), place] += 1
    found = histogram.compute().numpy()
    np.testing.assert_array_equal(found.sum(axis=2), wanted.sum(axis=2))
    # In float32, a logit very close to the edge of a bin may be counted on either side.
    assert np.abs((found - wanted).cumsum(axis=2)).max() <= 1
    assert np.abs(found - wanted).sum() <= 4


def test_a_bin_holds_the_logits_around_its_centre() -> None:
    histogram = LogitHistogram()
    centres = torch.from_numpy(CENTRES).float().view(1, 1, 40, 100)
    histogram.update(centres, torch.full((1, 40, 100), CROPLAND, dtype=torch.uint8))
    assert (histogram.compute()[0, 1] == 1).all()


@pytest.mark.parametrize(
    ("logit", "place"), [(1e9, -1), (float("inf"), -1), (-float("inf"), 0), (20.0, -1), (-20.0, 0)]
)
def test_logits_beyond_the_limits_are_counted_in_the_outermost_bins(logit: float, place: int) -> None:
    histogram = LogitHistogram()
    histogram.update(torch.full((1, 1, 2, 2), logit), torch.zeros(1, 2, 2, dtype=torch.uint8))
    assert histogram.compute()[0, 0, place] == 4


def test_nan_logits_are_not_counted() -> None:
    histogram = LogitHistogram()
    histogram.update(torch.full((1, 1, 2, 2), float("nan")), torch.zeros(1, 2, 2, dtype=torch.uint8))
    assert histogram.compute().sum() == 0


def test_half_precision_logits_are_counted_exactly() -> None:
    half, full = LogitHistogram(), LogitHistogram()
    logits, mask = batch(0)
    half.update(logits.bfloat16(), mask)
    full.update(logits.bfloat16().float(), mask)
    assert torch.equal(half.compute(), full.compute())


def test_histograms_of_two_processes_add_up() -> None:
    parts, whole = [LogitHistogram(), LogitHistogram()], LogitHistogram()
    for number in range(6):
        logits, mask = batch(number, samples=1)
        whole.update(logits, mask, number)
        parts[number // 3].update(logits, mask, number)
    reduce = whole._reductions["counts"]
    assert reduce is not None
    gathered = torch.stack([part.compute() for part in parts])
    assert torch.equal(reduce(gathered), whole.compute())
    assert whole.compute().dtype == torch.int64


def test_large_counts_stay_exact() -> None:
    histogram = LogitHistogram()
    histogram.counts += 2**24
    histogram.update(*batch(0, samples=1, side=1)[:1], torch.zeros(1, 1, 1, dtype=torch.uint8))
    assert int(histogram.compute().sum()) == PARTS * 2 * BINS * 2**24 + 1
