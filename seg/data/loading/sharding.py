"""Which batches each of several training processes gets: together those of one process, in its order."""

import math
from dataclasses import dataclass, replace

import torch
from torch.utils.data import Dataset

from seg.data.sample import Example, SampleKey
from seg.labels import IGNORE


@dataclass(frozen=True)
class Shard:
    """The part of one process.

    Batches are dealt round by round: in the i-th round, process r gets batch `i * count + r` of the order that a single
    process has. So N batches accumulated by each of two processes are the 2N that one process would accumulate. Where
    the last round is short, its first batch is given again as padding, since every process must take part in each step.

    Attributes:
        rank: Which process, from 0.
        count: How many there are.
    """

    rank: int = 0
    count: int = 1

    def length(self, batches: int) -> int:
        """How many of so many batches a process gets, padding among them: the same for each."""
        return math.ceil(batches / self.count)

    def places(self, batches: int) -> list[tuple[int, bool]]:
        """The places of this process's batches among so many of a single process, and whether each is padding."""
        last_round = batches - batches % self.count
        mine = range(self.rank, self.length(batches) * self.count, self.count)
        return [(place, False) if place < batches else (last_round, True) for place in mine]


WHOLE = Shard()
"""A single process."""


def padding_key(key: SampleKey) -> SampleKey:
    """The same sample, to be given without labels."""
    return replace(key, padding=True)


class Unlabelled(Dataset[Example]):
    """Examples; those that are padding have no name, and labels that are all ignored, so that they count nowhere.

    Args:
        examples: As a single process has them.
    """

    def __init__(self, examples: Dataset[Example]) -> None:
        self.examples = examples

    def __len__(self) -> int:
        """How many examples there are."""
        return len(self.examples)  # type: ignore[arg-type]  # every dataset here has a length

    def __getitem__(self, key: SampleKey | int) -> Example:
        """The example of a key.

        Raises:
            RasterError: A file cannot be read.
        """
        example = self.examples[key]
        if isinstance(key, int) or not key.padding:
            return example
        return {**example, "mask": torch.full_like(example["mask"], IGNORE), "name": ""}
