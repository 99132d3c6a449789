"""Batches collated in the worker process, and sent in groups."""

import itertools
from collections.abc import Collection, Iterator
from typing import Any

from torch.utils.data import Dataset, Sampler, get_worker_info

from seg.data.loading.batching import BucketSampler, EpochSampler
from seg.data.loading.shared_memory import Collate, Handover, Slots
from seg.data.sample import Example, SampleKey

MOST_TOGETHER = 32
"""Largest number of batches in one message. A message takes about half a millisecond, one sixth of the time for reading
a chip."""

_MESSAGE_BYTES = 2**26
"""Largest size of a message in bytes. Large batches are sent one by one, so a worker holds at most `prefetch_factor` of
them."""


class Batches(Dataset[Any]):
    """Dataset of whole batches. Worker processes pass the batches through shared memory if slots are given.

    Args:
        examples: Dataset of single examples.
        collate: Function that makes a batch from examples.
        slots: Shared memory of the worker processes; None to pass batches as PyTorch does.
    """

    def __init__(self, examples: Dataset[Example], collate: Collate, slots: Slots | None = None) -> None:
        self.examples, self.collate, self.slots = examples, collate, slots

    def __len__(self) -> int:
        """Number of examples."""
        return len(self.examples)  # type: ignore[arg-type]  # all datasets here have a length

    def __getitem__(self, keys: list[SampleKey] | SampleKey | int) -> dict[str, Any] | Handover | Example:
        """The batch for a list of keys, or the example for a single key."""
        if not isinstance(keys, list):
            return self.examples[keys]
        batch = self.collate([self.examples[key] for key in keys])
        worker = get_worker_info()
        return batch if self.slots is None or worker is None else self.slots.put(worker.id, batch)


class Groups(Sampler[list[list[SampleKey]]]):
    """Sampler of groups with nearly equal numbers of batches. A loader distributes the groups to its workers in turn.

    Args:
        source: Sampler of batches of keys, or of single keys if each batch holds one sample.
        together: Largest number of batches in a group.
        workers: Number of worker processes. Each process gets the same number of groups, so that no process waits for
            another.

    Attributes:
        sampler: Sampler of single keys; Lightning sets its epoch.
        left_out: Number of batches that are skipped at the start of the next epoch, but not of later epochs.
    """

    def __init__(self, source: EpochSampler | BucketSampler, together: int = 1, workers: int = 1) -> None:
        self.source, self.together, self.workers = source, together, workers
        self.left_out = 0
        self.sampler = source if isinstance(source, EpochSampler) else source.sampler

    def __len__(self) -> int:
        """Number of batches, which is the length of the loader."""
        return len(self.source)

    def __iter__(self) -> Iterator[list[list[SampleKey]]]:
        left_out, self.left_out = self.left_out, 0
        wanted: Iterator[list[SampleKey] | SampleKey] = itertools.islice(self.source, left_out, None)
        batches = [keys if isinstance(keys, list) else [keys] for keys in wanted]
        rounds = -(-len(batches) // (self.together * self.workers))
        groups = min(rounds * self.workers, len(batches))
        for group in range(groups):
            yield batches[group * len(batches) // groups : (group + 1) * len(batches) // groups]

    def keep(self, indexes: Collection[int] | None) -> None:
        """Restrict the batches to some samples; None removes the restriction."""
        self.source.keep(indexes)

    def batches_of(self, indexes: Collection[int]) -> int:
        """Number of batches for some samples."""
        return self.source.batches_of(indexes)


def batches_together(batch_bytes: int) -> int:
    """Number of batches to send in one message.

    Args:
        batch_bytes: Bytes of the tensors of the largest batch; 0 if unknown.
    """
    return max(1, min(MOST_TOGETHER, _MESSAGE_BYTES // batch_bytes)) if batch_bytes else 1
