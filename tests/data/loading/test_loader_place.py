"""Resuming a loader within an epoch."""

from collections.abc import Iterator

import pytest
import torch
from torch.utils.data import Dataset

from seg.data.loading.batching import EpochSampler
from seg.data.loading.loader import Batching, WatchedLoader, build_loader
from seg.data.sample import Example, SampleKey
from support.numbered_examples import NumberedExamples

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")  # warning on a machine with few cores


class Counted(Dataset[Example]):
    """Dataset that records the indexes of read examples."""

    def __init__(self, size: int) -> None:
        self.examples, self.read = NumberedExamples(size), list[SampleKey]()

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, key: SampleKey) -> Example:
        self.read.append(key)
        return self.examples[key]


def loader_of(examples: Dataset[Example], workers: int = 0, size: int = 9) -> WatchedLoader:
    return build_loader(examples, Batching(EpochSampler(size, 1), batch_bytes=1000), workers)


def names(batches: Iterator[dict[str, list[str]]]) -> list[str]:
    return [batch["name"][0] for batch in batches]


def begin(loader: WatchedLoader, epoch: int) -> Iterator[dict[str, list[str]]]:
    """Create the iterator first and set the epoch after it, as Lightning does."""
    batches = iter(loader)
    loader.batch_sampler.sampler.set_epoch(epoch)
    return batches


def test_loaded_batches_are_skipped_without_reading_them() -> None:
    first = loader_of(NumberedExamples(9))
    expected = names(begin(first, 2))
    batches = begin(first, 2)
    given = [next(batches) for _ in range(4)]
    assert first.state_dict() == {"epoch": 2, "batches": 4}
    assert names(given) == expected[:4]

    counted = Counted(9)
    second = loader_of(counted)
    second.load_state_dict(first.state_dict())
    assert names(begin(second, 2)) == expected[4:]
    assert len(counted.read) == 5
    assert second.state_dict() == {"epoch": 2, "batches": 9}


def test_another_epoch_than_the_interrupted_one_is_complete() -> None:
    loader = loader_of(NumberedExamples(9))
    loader.load_state_dict({"epoch": 2, "batches": 4})
    assert len(names(begin(loader, 3))) == 9
    assert len(names(begin(loader, 2))) == 9


def test_an_unused_iterator_does_not_change_the_position() -> None:
    loader = loader_of(NumberedExamples(9))
    loader.load_state_dict({"epoch": 1, "batches": 7})
    iter(loader)
    assert len(names(begin(loader, 1))) == 2
    assert len(names(begin(loader, 1))) == 9


def test_persistent_workers_with_grouped_batches_resume_within_an_epoch() -> None:
    loader = loader_of(NumberedExamples(40), workers=1, size=40)
    expected = names(begin(loader_of(NumberedExamples(40), size=40), 1))
    loader.load_state_dict({"epoch": 1, "batches": 21})
    assert names(begin(loader, 1)) == expected[21:]
    assert names(begin(loader, 1)) == expected
    batches = begin(loader, 1)
    next(batches)
    assert loader.state_dict() == {"epoch": 1, "batches": 1}  # even though more batches are prefetched


def test_loading_does_not_use_the_global_random_generator() -> None:
    before = torch.get_rng_state()
    list(begin(loader_of(NumberedExamples(9)), 0))
    assert torch.equal(torch.get_rng_state(), before)
