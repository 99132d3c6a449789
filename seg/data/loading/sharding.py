"""Distribution of a run's batches over several training processes; their order is that of a single process."""

import math
from dataclasses import dataclass, replace

import torch
from torch.utils.data import Dataset

from seg.data.sample import Example, SampleKey
from seg.labels import IGNORE


@dataclass(frozen=True)
class Shard:
    """Share of one training process.

    Batches are distributed in rounds: in round i, process r gets batch `i * count + r` of the single-process order. If
    each of two processes accumulates N batches, these are the 2N batches that a single process would accumulate. If the
    last round is incomplete, its first batch is repeated as padding, because every process must take part in each step.

    Attributes:
        rank: Number of the process, from 0.
        count: Number of processes.
    """

    rank: int = 0
    count: int = 1

    def length(self, batches: int) -> int:
        """Number of batches per process, including padding, for a given total number of batches."""
        return math.ceil(batches / self.count)

    def places(self, batches: int) -> list[tuple[int, bool]]:
        """Positions of this process's batches in the single-process order; True marks padding."""
        last_round = batches - batches % self.count
        positions = range(self.rank, self.length(batches) * self.count, self.count)
        return [(place, False) if place < batches else (last_round, True) for place in positions]


WHOLE = Shard()
"""Share of a single process, with all batches."""


def padding_key(key: SampleKey) -> SampleKey:
    """Key of the same sample, marked as padding."""
    return replace(key, padding=True)


class PaddingIgnored(Dataset[Example]):
    """Dataset that removes name, labels and views from padding examples, so that they do not affect the training.

    Args:
        examples: Dataset of a single process.
    """

    def __init__(self, examples: Dataset[Example]) -> None:
        self.examples = examples

    def __len__(self) -> int:
        """Number of examples."""
        return len(self.examples)  # type: ignore[arg-type]  # all datasets here have a length

    def __getitem__(self, key: SampleKey | int) -> Example:
        """Example of a key.

        Raises:
            RasterError: A file cannot be read.
        """
        example = self.examples[key]
        if isinstance(key, int) or not key.padding:
            return example
        blank: Example = {**example, "mask": torch.full_like(example["mask"], IGNORE), "name": ""}
        if "source" in example:
            blank["source"] = torch.full_like(example["source"], IGNORE)
        return blank
