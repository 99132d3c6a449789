"""The batches of several processes together equal the batches of one process."""

import pytest
import torch

from seg.data.loading.batching import BucketSampler, EpochSampler
from seg.data.loading.sharding import PaddingIgnored, Shard, padding_key
from seg.data.sample import Example, SampleKey
from seg.labels import IGNORE


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("batches", [0, 1, 4, 5, 6, 7])
def test_all_processes_get_equally_many_batches_and_each_batch_counts_once(batches: int, count: int) -> None:
    parts = [Shard(rank, count).places(batches) for rank in range(count)]
    assert {len(part) for part in parts} == {Shard(0, count).length(batches)}
    dealt = [place for batch in zip(*parts, strict=True) for place in batch]
    assert [place for place, padding in dealt if not padding] == list(range(batches))
    assert all(not padding for _, padding in dealt[:batches])


@pytest.mark.parametrize("kept", [None, [0, 2, 3, 4, 8]])
@pytest.mark.parametrize("bucket", [False, True])
def test_batches_of_two_processes_together_have_the_order_of_one_process(bucket: bool, kept: list[int] | None) -> None:
    sizes = [(4, 4), (8, 8), (4, 4)] * 3

    def sampler(shard: Shard) -> EpochSampler | BucketSampler:
        if not bucket:
            return EpochSampler(len(sizes), 3, shard)
        return BucketSampler(EpochSampler(len(sizes), 3), sizes, 32, shard=shard)

    one, *two = sampler(Shard()), sampler(Shard(0, 2)), sampler(Shard(1, 2))
    for each in (one, *two):
        each.keep(kept)
    dealt = [keys for pair in zip(*two, strict=True) for keys in pair]
    whole = list(one)
    assert dealt[: len(whole)] == whole
    rest = [keys if isinstance(keys, list) else [keys] for keys in dealt[len(whole) :]]
    assert all(key.padding for keys in rest for key in keys)
    assert len(two[0]) == len(list(two[0])) == len(two[1])
    indexes = range(len(sizes)) if kept is None else kept
    assert two[0].batches_of(indexes) == len(two[0])


def test_padding_has_no_label_and_no_name() -> None:
    class Two:
        def __len__(self) -> int:
            return 2

        def __getitem__(self, key: SampleKey | int) -> Example:
            return {"image": torch.ones(1, 2, 2), "mask": torch.ones(2, 2, dtype=torch.uint8), "name": "field"}

    examples = PaddingIgnored(Two())
    assert len(examples) == 2
    assert examples[SampleKey(0, 1)]["name"] == examples[0]["name"] == "field"
    padding = examples[padding_key(SampleKey(0, 1))]
    assert padding["name"] == ""
    assert (padding["mask"] == IGNORE).all()
