import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg.data.batching import EpochSampler
from seg.data.datasets import SampleKey


def order(size: int, seed: int, epoch: int) -> list[SampleKey]:
    sampler = EpochSampler(size, seed)
    sampler.set_epoch(epoch)
    return list(sampler)


@given(st.integers(0, 50), st.integers(0, 2**31), st.integers(0, 1000))
def test_every_sample_comes_once_an_epoch(size: int, seed: int, epoch: int) -> None:
    keys = order(size, seed, epoch)
    assert sorted(key.index for key in keys) == list(range(size))
    assert {key.epoch for key in keys} <= {epoch}


@given(st.integers(0, 50), st.integers(0, 2**31), st.integers(0, 1000))
def test_the_order_depends_on_seed_and_epoch_alone(size: int, seed: int, epoch: int) -> None:
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
