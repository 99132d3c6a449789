from itertools import combinations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.windows import Window

from seg.data.splitting.folds import FoldSummary, summarise_folds
from seg.data.splitting.irregular_blocks import (
    NO_FOLD,
    BlockRule,
    assign_folds,
    block_labels,
    fold_raster,
    irregular_blocks,
)
from seg.errors import DatasetError
from seg.labels import CROPLAND, IGNORE, OTHER

RULE = BlockRule(minimum=24, maximum=61, guard=2)

rules = st.builds(
    lambda minimum, more, guard: BlockRule(minimum, minimum + more, guard),
    st.integers(1, 12),
    st.integers(0, 20),
    st.integers(0, 4),
)


def coverable(length: int, rule: BlockRule) -> bool:
    """True if there is a number of blocks that, with guards between them, covers the length; found by trying all."""
    return any(
        parts * rule.minimum <= length - (parts - 1) * rule.guard <= parts * rule.maximum
        for parts in range(1, length + 1)
    )


def numbered(blocks: list[Window], height: int, width: int) -> NDArray[np.int64]:
    """(H, W) block number of each pixel, -1 in the guard; fails if blocks overlap or leave the scene."""
    raster = np.full((height, width), -1)
    for number, block in enumerate(blocks):
        part = raster[block.toslices()]
        assert part.shape == (block.height, block.width)
        assert np.all(part == -1)
        part[:] = number
    return raster


def chessboard(height: int, width: int) -> NDArray[np.uint8]:
    """Mask with fields of 10 by 10 pixels and a strip that has no labels."""
    rows, columns = np.indices((height, width)) // 10
    mask = np.where((rows + columns) % 3 == 0, OTHER, CROPLAND).astype(np.uint8)
    mask[:, : width // 8] = IGNORE
    return mask


@settings(max_examples=60, deadline=None)
@given(rule=rules, height=st.integers(1, 70), width=st.integers(1, 70), seed=st.integers(0, 999))
@example(rule=BlockRule(10, 12, 2), height=26, width=39, seed=0)  # few possible cuts
def test_blocks_keep_limits_and_guard_and_leave_only_guards_uncovered(
    rule: BlockRule, height: int, width: int, seed: int
) -> None:
    if not (coverable(height, rule) and coverable(width, rule)):
        with pytest.raises(DatasetError, match="cannot be cut into blocks"):
            irregular_blocks(height, width, rule, seed)
        return
    blocks = irregular_blocks(height, width, rule, seed)
    assert all(rule.minimum <= side <= rule.maximum for block in blocks for side in (block.height, block.width))
    raster = numbered(blocks, height, width)
    # Brute force: pixels of different blocks are more than the guard's width apart.
    wide = np.pad(raster, rule.guard, constant_values=-1)
    reach = 2 * rule.guard + 1
    around = np.lib.stride_tricks.sliding_window_view(wide, (reach, reach))
    own = raster[:, :, None, None]
    assert not np.any((own >= 0) & (around >= 0) & (around != own))
    assert np.all((around >= 0).any(axis=(2, 3)) | (rule.guard == 0)), "a gap is wider than its guard"
    assert rule.guard > 0 or np.all(raster >= 0)


@pytest.mark.parametrize("seed", range(10))
def test_blocks_differ_in_height_and_in_width(seed: int) -> None:
    blocks = irregular_blocks(300, 250, RULE, seed)
    assert len({block.height for block in blocks}) >= 8
    assert len({block.width for block in blocks}) >= 8
    assert max(max(block.height, block.width) for block in blocks) > 2 * RULE.minimum


def test_blocks_and_folds_depend_only_on_the_seed() -> None:
    mask = chessboard(300, 300)
    first, again, other = (irregular_blocks(300, 300, RULE, seed) for seed in (3, 3, 4))
    assert first == again
    assert first != other
    assert assign_folds(first, mask, 5, 3) == assign_folds(first, mask, 5, 3)
    assert assign_folds(first, mask, 5, 3) != assign_folds(first, mask, 5, 4)


def test_uncoverable_scene_is_an_error_that_names_the_side() -> None:
    with pytest.raises(DatasetError, match="scene width of 45 pixels cannot be cut into blocks of 30 to 40 pixels"):
        irregular_blocks(70, 45, BlockRule(30, 40, 2), seed=0)


@pytest.mark.parametrize(("minimum", "maximum", "guard"), [(0, 5, 1), (6, 5, 1), (5, 6, -1)])
def test_impossible_rule_is_refused(minimum: int, maximum: int, guard: int) -> None:
    with pytest.raises(DatasetError, match="wanted 1 <= minimum <= maximum and guard >= 0"):
        BlockRule(minimum, maximum, guard)


@pytest.mark.parametrize("seed", range(5))
def test_folds_have_similar_labels(seed: int) -> None:
    mask = chessboard(400, 400)
    blocks = irregular_blocks(400, 400, RULE, seed)
    folds = assign_folds(blocks, mask, 5, seed)
    summaries = summarise_folds(zip(folds, block_labels(blocks, mask), strict=True), 5)
    labelled = [fold.labelled for fold in summaries]
    shares = [fold.cropland_share for fold in summaries]
    assert max(labelled) < 1.15 * min(labelled)
    assert max(shares) - min(shares) < 0.05


def test_rare_class_in_two_blocks_goes_to_both_folds() -> None:
    blocks = [Window(20 * index, 0, 20, 20) for index in range(4)]
    mask = np.full((20, 80), CROPLAND, dtype=np.uint8)
    mask[:5, :40] = OTHER
    folds = assign_folds(blocks, mask, 2, seed=0)
    assert folds[0] != folds[1]


def test_blocks_of_a_fold_are_farther_apart_than_at_random() -> None:
    blocks = irregular_blocks(400, 400, RULE, 0)
    mask = np.full((400, 400), CROPLAND, dtype=np.uint8)

    def neighbours(folds: list[int]) -> int:
        centres = [(block.row_off + block.height / 2, block.col_off + block.width / 2) for block in blocks]
        pairs = combinations(range(len(blocks)), 2)
        return sum(folds[a] == folds[b] and np.hypot(*np.subtract(centres[a], centres[b])) < 40 for a, b in pairs)

    dealt = assign_folds(blocks, mask, 5, 0)
    random = np.random.default_rng(0)
    shuffled = [neighbours([int(fold) for fold in random.permutation(dealt)]) for _ in range(50)]
    assert neighbours(dealt) < 0.6 * np.mean(shuffled)


@settings(max_examples=40, deadline=None)
@given(folds=st.integers(1, 9), extra=st.integers(0, 6), step=st.sampled_from([4, 3000]), empty=st.booleans())
def test_no_fold_stays_empty_even_without_labels(folds: int, extra: int, step: int, empty: bool) -> None:
    blocks = [Window(step * index, 0, 3, 3) for index in range(folds + extra)]
    mask = np.full((3, step * len(blocks)), IGNORE, dtype=np.uint8)
    if not empty:
        mask[:, 0] = CROPLAND
    assert set(assign_folds(blocks, mask, folds, seed=1)) == set(range(folds))


@pytest.mark.parametrize("folds", [0, 3])
def test_more_folds_than_blocks_are_refused(folds: int) -> None:
    with pytest.raises(DatasetError, match=f"2 blocks cannot fill {folds} folds"):
        assign_folds([Window(0, 0, 2, 2), Window(3, 0, 2, 2)], np.zeros((2, 5), dtype=np.uint8), folds, 0)


def test_fold_raster_marks_the_guard_and_summary_counts_only_labels() -> None:
    blocks = [Window(0, 0, 2, 2), Window(3, 0, 2, 2)]
    mask = np.array([[1, 0, 1, 1, 255], [1, 255, 1, 1, 255]], dtype=np.uint8)
    raster = fold_raster(blocks, [1, 0], 2, 5)
    assert raster.tolist() == [[1, 1, NO_FOLD, 0, 0]] * 2
    parts = zip([1, 0], block_labels(blocks, mask), strict=True)
    assert summarise_folds(parts, 2) == [FoldSummary(1, 2, 2), FoldSummary(1, 3, 2)]


def test_share_of_a_fold_without_labels_is_zero() -> None:
    assert FoldSummary(parts=1, labelled=0, cropland=0).cropland_share == 0.0
