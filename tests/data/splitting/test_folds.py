from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seg.data.splitting.folds import Place, assign_blocks, assign_places

places = st.lists(st.builds(Place, st.integers(1, 3), st.integers(1, 900), st.floats(0, 1)), min_size=1, max_size=30)


@settings(deadline=None)
@given(places, st.integers(1, 9), st.integers(0, 99), st.booleans())
def test_no_fold_stays_empty_with_enough_places(found: list[Place], folds: int, seed: int, stratify: bool) -> None:
    fold_of = assign_places(found, folds, seed, stratify)
    assert set(fold_of) <= set(range(folds))
    assert len(set(fold_of)) == min(folds, len(found))


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 9), st.integers(0, 99), st.booleans())
def test_if_every_place_is_one_scene_sizes_of_folds_differ_by_at_most_one(
    scenes: int, folds: int, seed: int, stratify: bool
) -> None:
    counts = Counter(assign_places([Place(1, 50 + i, i / 40) for i in range(scenes)], folds, seed, stratify))
    sizes = [counts[fold] for fold in range(folds)]
    assert max(sizes) - min(sizes) <= 1


def test_the_folds_of_scenes_depend_only_on_the_seed() -> None:
    found = [Place(1, 100, 0.5)] * 20
    assert assign_places(found, 5, 1, False) == assign_places(found, 5, 1, False)
    assert assign_places(found, 5, 1, False) != assign_places(found, 5, 2, False)


@pytest.mark.parametrize("seed", range(5))
def test_stratified_folds_get_one_scene_of_each_kind(seed: int) -> None:
    found = [Place(1, 100, kind / 4) for kind in range(4) for _ in range(5)]
    fold_of = assign_places(found, 5, seed, stratify=True)
    for fold in range(5):
        assert sorted(p.cropland_share for p, where in zip(found, fold_of, strict=True) if where == fold) == [
            0,
            0.25,
            0.5,
            0.75,
        ]


def test_places_of_several_scenes_are_balanced_by_pixels() -> None:
    found = [Place(3, 900, 0.5), *[Place(1, 100, 0.5)] * 9]
    fold_of = assign_places(found, 2, 0, False)
    assert fold_of[1:] == [1 - fold_of[0]] * 9


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(0, 12), st.integers(0, 9), st.booleans())
def test_no_fold_of_blocks_stays_empty(folds: int, extra: int, seed: int, alike: bool) -> None:
    counts = np.random.default_rng(seed).integers(0, 50, (folds + extra, 2)) * (0 if alike else 1)
    centres = np.arange(2.0 * (folds + extra)).reshape(-1, 2) * 1000
    assert set(assign_blocks(counts, centres, folds, seed).tolist()) == set(range(folds))
