import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seg.data.loading.batching import BucketSampler, EpochSampler, PaddingCollate
from seg.data.sample import Example
from seg.labels import IGNORE

sides = st.integers(1, 6)
many_sizes = st.lists(st.tuples(sides, sides), max_size=30)
budgets = st.integers(1, 100)


def batches(
    sizes: list[tuple[int, int]], pixels: int, epoch: int = 0, pad: bool = False, drop_last: bool = False
) -> list[list[int]]:
    sampler = BucketSampler(EpochSampler(len(sizes), seed=1), sizes, pixels, pad, drop_last)
    sampler.sampler.set_epoch(epoch)
    found = [[key.index for key in batch] for batch in sampler]
    assert len(sampler) == len(found)
    return found


@given(many_sizes, budgets, st.booleans(), st.integers(0, 3))
def test_batches_keep_the_pixel_limit_and_hold_every_sample_once(
    sizes: list[tuple[int, int]], pixels: int, pad: bool, epoch: int
) -> None:
    found = batches(sizes, pixels, epoch, pad)
    assert sorted(index for batch in found for index in batch) == list(range(len(sizes)))
    for batch in found:
        area = max(sizes[index][0] for index in batch) * max(sizes[index][1] for index in batch)
        assert len(batch) == 1 or len(batch) * area <= pixels


@given(many_sizes, budgets)
def test_batches_never_mix_sizes_without_padding(sizes: list[tuple[int, int]], pixels: int) -> None:
    assert all(len({sizes[index] for index in batch}) == 1 for batch in batches(sizes, pixels))


def test_unequal_sizes_share_a_batch_only_with_padding() -> None:
    sizes = [(4, 4), (4, 5)]
    assert len(BucketSampler(EpochSampler(2, seed=1), sizes, 100)) == 2
    assert len(BucketSampler(EpochSampler(2, seed=1), sizes, 100, pad=True)) == 1


@given(many_sizes, budgets, st.booleans())
def test_all_epochs_have_the_same_length(sizes: list[tuple[int, int]], pixels: int, pad: bool) -> None:
    assert len({len(batches(sizes, pixels, epoch, pad)) for epoch in range(4)}) == 1


def test_equal_sizes_share_batches_and_a_unique_size_is_a_batch_of_its_own() -> None:
    found = batches([(2, 2)] * 6 + [(5, 5)], pixels=12)
    assert sorted(len(batch) for batch in found) == [1, 3, 3]
    assert [6] in found


def test_the_samples_of_a_batch_depend_only_on_seed_and_epoch() -> None:
    sizes = [(2, 2)] * 12
    assert batches(sizes, 12, epoch=3) == batches(sizes, 12, epoch=3)
    assert batches(sizes, 12, epoch=3) != batches(sizes, 12, epoch=4)


def test_drop_last_leaves_out_incomplete_batches_but_not_unique_sizes() -> None:
    found = batches([(2, 2)] * 5 + [(3, 1)], pixels=8, drop_last=True)
    assert sorted(len(batch) for batch in found) == [1, 2, 2]
    assert [5] in found


def example(height: int, width: int, value: float) -> Example:
    image, mask = torch.full((2, height, width), value), torch.ones(height, width, dtype=torch.uint8)
    return {"image": image, "mask": mask, "name": f"{height}x{width}"}


def test_padding_holds_the_fill_values_and_is_ignored() -> None:
    batch = PaddingCollate([7.0, 9.0])([example(2, 3, 1.5), example(3, 1, 2.5)])
    image, mask = batch["image"], batch["mask"]
    assert isinstance(image, torch.Tensor)
    assert isinstance(mask, torch.Tensor)
    assert (tuple(image.shape), batch["name"]) == ((2, 2, 3, 3), ["2x3", "3x1"])
    assert (image[0, :, :2] == 1.5).all()
    assert (mask == 1).sum() == 2 * 3 + 3 * 1
    assert (mask == IGNORE).sum() == 2 * 9 - 9
    assert image[1, :, 0, 2].tolist() == [7.0, 9.0]


@pytest.mark.parametrize("dtype", [torch.float32])
def test_examples_of_equal_size_are_stacked_unchanged(dtype: torch.dtype) -> None:
    first, second = example(2, 2, 0.1), example(2, 2, 0.7)
    batch = PaddingCollate([1e6, 1e6])([first, second])
    image = batch["image"]
    assert isinstance(image, torch.Tensor)
    assert image.dtype == dtype
    assert torch.equal(image, torch.stack([first["image"], second["image"]]))
