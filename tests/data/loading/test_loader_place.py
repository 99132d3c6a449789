"""A loader that goes on in the middle of an epoch."""

from collections.abc import Iterator

import pytest
import torch
from torch.utils.data import Dataset

from seg.data.loading.batching import EpochSampler
from seg.data.loading.loader import Batching, WatchedLoader, build_loader
from seg.data.sample import Example, SampleKey
from support.numbered_examples import NumberedExamples

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on a machine with few cores


class Counted(Dataset[Example]):
    """Notes what is read."""

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
    """As Lightning does: the iterator first, then the epoch."""
    batches = iter(loader)
    loader.batch_sampler.sampler.set_epoch(epoch)
    return batches


def test_what_was_given_is_left_out_and_never_read() -> None:
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


def test_another_epoch_than_the_one_it_broke_off_in_is_whole() -> None:
    loader = loader_of(NumberedExamples(9))
    loader.load_state_dict({"epoch": 2, "batches": 4})
    assert len(names(begin(loader, 3))) == 9
    assert len(names(begin(loader, 2))) == 9


def test_an_iterator_that_nobody_asks_takes_no_place() -> None:
    loader = loader_of(NumberedExamples(9))
    loader.load_state_dict({"epoch": 1, "batches": 7})
    iter(loader)
    assert len(names(begin(loader, 1))) == 2
    assert len(names(begin(loader, 1))) == 9


def test_workers_that_stay_and_send_batches_together_go_on_too() -> None:
    loader = loader_of(NumberedExamples(40), workers=1, size=40)
    expected = names(begin(loader_of(NumberedExamples(40), size=40), 1))
    loader.load_state_dict({"epoch": 1, "batches": 21})
    assert names(begin(loader, 1)) == expected[21:]
    assert names(begin(loader, 1)) == expected
    batches = begin(loader, 1)
    next(batches)
    assert loader.state_dict() == {"epoch": 1, "batches": 1}  # though more are on their way


def test_loading_draws_no_number_that_dropout_would_draw() -> None:
    before = torch.get_rng_state()
    list(begin(loader_of(NumberedExamples(9)), 0))
    assert torch.equal(torch.get_rng_state(), before)
