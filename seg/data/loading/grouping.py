"""Batches made whole in the process that loads them, and sent several at a time."""

import itertools
from collections.abc import Collection, Iterator
from typing import Any

from torch.utils.data import Dataset, Sampler, get_worker_info

from seg.data.loading.batching import BucketSampler, EpochSampler
from seg.data.loading.shared_memory import Collate, Handover, Slots
from seg.data.sample import Example, SampleKey

MOST_TOGETHER = 32
"""Batches sent together: a message costs a process about half a millisecond, as much as a sixth of reading a chip."""

_MESSAGE_BYTES = 2**26
"""Of batches sent together: large ones go alone, so that workers hold no more of them than they were told to."""


class Batches(Dataset[Any]):
    """A dataset that gives whole batches too, in a worker process through shared memory where there are slots.

    Args:
        examples: The single examples.
        collate: Joins the examples of a batch.
        slots: Shared memory of the worker processes, if batches are to go through it.
    """

    def __init__(self, examples: Dataset[Example], collate: Collate, slots: Slots | None = None) -> None:
        self.examples, self.collate, self.slots = examples, collate, slots

    def __len__(self) -> int:
        """How many examples there are."""
        return len(self.examples)  # type: ignore[arg-type]  # every dataset here has a length

    def __getitem__(self, keys: list[SampleKey] | SampleKey | int) -> dict[str, Any] | Handover | Example:
        """The batch of a list of keys, the example of a single one."""
        if not isinstance(keys, list):
            return self.examples[keys]
        worker = get_worker_info()
        if self.slots is None or worker is None:
            return self._batch(keys)
        with self.slots.filling(worker.id, alone=len(keys) == 1) as slot:
            batch = self._batch(keys)
            return batch if slot is None else slot.put(batch)

    def _batch(self, keys: list[SampleKey]) -> dict[str, Any]:
        return self.collate([self.examples[key] for key in keys])


class Groups(Sampler[list[list[SampleKey]]]):
    """Batches, several at a time, in groups as equal as can be: a loader deals them out to its workers in turn.

    Args:
        source: Gives batches of keys, or keys that are a batch each.
        together: Batches at a time, at most.
        workers: Processes that get the groups; each gets as many as any other, so that none has to be waited for.

    Attributes:
        sampler: The order of the samples; Lightning looks for it here to tell it the epoch.
        left_out: How many batches to leave out at the beginning of the next epoch, and of that one alone.
    """

    def __init__(self, source: EpochSampler | BucketSampler, together: int = 1, workers: int = 1) -> None:
        self.source, self.together, self.workers = source, together, workers
        self.left_out = 0
        self.sampler = source if isinstance(source, EpochSampler) else source.sampler

    def __len__(self) -> int:
        """How many batches there are, which is what a loader gives."""
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
        """Give these samples only; None for all again."""
        self.source.keep(indexes)

    def batches_of(self, indexes: Collection[int]) -> int:
        """How many batches these samples make."""
        return self.source.batches_of(indexes)


def batches_together(batch_bytes: int) -> int:
    """How many batches to send together.

    Args:
        batch_bytes: What the tensors of the largest take; 0 where nobody knows.
    """
    return max(1, min(MOST_TOGETHER, _MESSAGE_BYTES // batch_bytes)) if batch_bytes else 1
