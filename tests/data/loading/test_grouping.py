import pytest

from seg.data.loading.batching import BucketSampler, EpochSampler, stack
from seg.data.loading.grouping import (
    MOST_TOGETHER,
    Batches,
    Groups,
    batches_together,
)
from seg.data.sample import SampleKey
from support.numbered_examples import NumberedExamples


def indexes(groups: Groups) -> list[list[list[int]]]:
    return [[[key.index for key in batch] for batch in group] for group in groups]


def test_groups_hold_several_batches_and_the_length_counts_batches() -> None:
    groups = Groups(EpochSampler(5, None), 2)
    assert indexes(groups) == [[[0]], [[1], [2]], [[3], [4]]]
    assert len(groups) == 5


def test_all_workers_get_equally_many_groups_and_batches() -> None:
    lengths = [len(group) for group in Groups(EpochSampler(400, None), 16, 2)]
    assert sum(lengths[::2]) == sum(lengths[1::2]) == 200
    assert max(lengths) == 16


@pytest.mark.parametrize("samples", [0, 1, 2, 33])
def test_with_more_workers_than_batches_each_group_has_one_batch(samples: int) -> None:
    groups = indexes(Groups(EpochSampler(samples, None), 1, 40))
    assert groups == [[[index]] for index in range(samples)]


def test_bucket_batches_are_not_divided() -> None:
    buckets = BucketSampler(EpochSampler(4, None), [(2, 2), (3, 3), (2, 2), (3, 3)], 18)
    assert indexes(Groups(buckets, 4)) == [[[0, 2], [1, 3]]]
    assert len(Groups(buckets, 4)) == 2


def test_the_epoch_that_lightning_sets_reaches_the_order_of_the_samples() -> None:
    for source in (EpochSampler(9, 1), BucketSampler(EpochSampler(9, 1), [(1, 1)] * 9, 1)):
        groups = Groups(source, 3)
        first = indexes(groups)
        groups.sampler.set_epoch(1)
        assert indexes(groups) != first


def test_unselected_samples_make_no_batch() -> None:
    groups = Groups(EpochSampler(5, None), 2)
    groups.keep([1, 4])
    assert indexes(groups) == [[[1], [4]]]
    assert len(groups) == groups.batches_of([0, 3]) == 2
    groups.keep(None)
    assert len(groups) == 5


@pytest.mark.parametrize(("size", "together"), [(0, 1), (1, MOST_TOGETHER), (2**23, 8), (2**30, 1)])
def test_small_batches_are_sent_in_groups_and_large_batches_separately(size: int, together: int) -> None:
    assert batches_together(size) == together


def test_a_list_of_keys_gives_a_batch_and_a_single_key_gives_an_example() -> None:
    batches = Batches(NumberedExamples(3), stack)
    assert len(batches) == 3
    assert batches[[SampleKey(0, 2), SampleKey(0, 1)]]["name"] == ["scene_2.tif", "scene_1.tif"]
    assert batches[SampleKey(0, 1)]["name"] == "scene_1.tif"
