"""Batches made whole in the process that loads them, and sent several at a time."""

import itertools
from collections.abc import Collection, Iterator
from typing import Any

from torch.utils.data import Dataset, Sampler

from seg.data.batching import BucketSampler, EpochSampler
from seg.data.datasets import Example, SampleKey
from seg.data.slots import Collate, Handover

MOST_TOGETHER = 16
"""Batches sent together: a message costs a process about half a millisecond, as much as a sixth of reading a chip."""

_MESSAGE_BYTES = 2**25
"""Of batches sent together: large ones go alone, so that workers hold no more of them than they were told to."""


class Batches(Dataset[Any]):
    """A dataset that gives whole batches too.

    Args:
        examples: The single examples.
        collate: Joins the examples of a batch.
    """

    def __init__(self, examples: Dataset[Example], collate: Collate) -> None:
        self.examples, self.collate = examples, collate

    def __len__(self) -> int:
        """How many examples there are."""
        return len(self.examples)  # type: ignore[arg-type]  # every dataset here has a length

    def __getitem__(self, keys: list[SampleKey] | SampleKey | int) -> dict[str, Any] | Handover | Example:
        """The batch of a list of keys, the example of a single one."""
        if isinstance(keys, list):
            return self.collate([self.examples[key] for key in keys])
        return self.examples[keys]


class Groups(Sampler[list[list[SampleKey]]]):
    """Batches, several at a time.

    Args:
        source: Gives batches of keys, or keys that are a batch each.
        together: Batches at a time; the last ones of an epoch may be fewer.

    Attributes:
        sampler: The order of the samples; Lightning looks for it here to tell it the epoch.
    """

    def __init__(self, source: EpochSampler | BucketSampler, together: int = 1) -> None:
        self.source, self.together = source, together
        self.sampler = source if isinstance(source, EpochSampler) else source.sampler

    def __len__(self) -> int:
        """How many batches there are, which is what a loader gives."""
        return len(self.source)

    def __iter__(self) -> Iterator[list[list[SampleKey]]]:
        batches = (keys if isinstance(keys, list) else [keys] for keys in self.source)
        while group := list(itertools.islice(batches, self.together)):
            yield group

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
