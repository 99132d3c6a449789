import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg.data.loading.batching import BucketSampler, EpochSampler
from seg.data.sample import SampleKey


def order(size: int, seed: int, epoch: int) -> list[SampleKey]:
    sampler = EpochSampler(size, seed)
    sampler.set_epoch(epoch)
    return list(sampler)


@given(st.integers(0, 50), st.integers(0, 2**31), st.integers(0, 1000))
def test_every_sample_occurs_once_per_epoch(size: int, seed: int, epoch: int) -> None:
    keys = order(size, seed, epoch)
    assert sorted(key.index for key in keys) == list(range(size))
    assert {key.epoch for key in keys} <= {epoch}


@given(st.integers(0, 50), st.integers(0, 2**31), st.integers(0, 1000))
def test_the_order_depends_only_on_seed_and_epoch(size: int, seed: int, epoch: int) -> None:
    sampler = EpochSampler(size, seed)
    list(sampler)
    sampler.set_epoch(epoch)
    assert list(sampler) == list(sampler) == order(size, seed, epoch)


@pytest.mark.parametrize(("seed", "epoch"), [(0, 1), (1, 0)], ids=["epoch", "seed"])
def test_another_seed_or_epoch_gives_another_order(seed: int, epoch: int) -> None:
    indexes = [key.index for key in order(50, seed, epoch)]
    assert indexes != [key.index for key in order(50, 0, 0)]


def test_the_sampler_is_as_long_as_its_dataset() -> None:
    assert len(EpochSampler(7, seed=0)) == 7


@given(st.integers(0, 30), st.integers(0, 99), st.sets(st.integers(0, 29)))
def test_selected_samples_keep_their_order_among_all_samples(size: int, epoch: int, wanted: set[int]) -> None:
    wanted = {index for index in wanted if index < size}
    sampler = EpochSampler(size, seed=0)
    sampler.set_epoch(epoch)
    sampler.keep(wanted)
    assert list(sampler) == [key for key in order(size, 0, epoch) if key.index in wanted]
    assert len(sampler) == len(wanted) == sampler.batches_of(wanted)
    sampler.keep(None)
    assert list(sampler) == order(size, 0, epoch)


def test_batches_hold_only_selected_samples() -> None:
    batches = BucketSampler(EpochSampler(6, seed=0), [(4, 4), (8, 8)] * 3, pixels=32)
    batches.keep([0, 2, 3, 4])
    assert sorted(sorted(key.index for key in batch) for batch in batches) in (
        [[0, 2], [3], [4]],
        [[0, 4], [2], [3]],
        [[0], [2, 4], [3]],
    )
    assert len(batches) == batches.batches_of([0, 2, 3, 4]) == 3
    batches.keep(None)
    assert sorted(key.index for batch in batches for key in batch) == list(range(6))
    assert len(batches) == 5
