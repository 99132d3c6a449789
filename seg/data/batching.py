"""Which samples come when, and together: the same for any number of workers and after resuming."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch.utils.data import Sampler, default_collate

from seg.data.datasets import Example, SampleKey
from seg.labels import IGNORE

Size = tuple[int, int]
"""Height and width."""


class EpochSampler(Sampler[SampleKey]):
    """A fresh permutation each epoch, decided by seed and epoch alone.

    Lightning calls `set_epoch` before each epoch, after resuming too.

    Args:
        size: Number of samples.
        seed: Seed of the run; None leaves the samples in their order.
    """

    def __init__(self, size: int, seed: int | None) -> None:
        self.size = size
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[SampleKey]:
        order = np.arange(self.size)
        if self.seed is not None:
            order = np.random.default_rng([self.seed, self.epoch]).permutation(self.size)
        return iter([SampleKey(self.epoch, int(index)) for index in order])


class BucketSampler(Sampler[list[SampleKey]]):
    """Batches of samples of equal size, as many as a budget of pixels holds; odd ones stay alone.

    Which samples meet, and in which order the batches come, follows from the sampler. How many there are does not, so
    that an epoch's length is known.

    Args:
        sampler: The order of the samples; Lightning tells it the epoch.
        sizes: The size of each sample.
        pixels: What a batch holds at most, unless one sample alone holds more.
        pad: Join unequal sizes too, those that are close; a batch then counts with its largest height and width.
        drop_last: Leave out a shorter batch of a size that fills another.
    """

    def __init__(
        self, sampler: EpochSampler, sizes: Sequence[Size], pixels: int, pad: bool = False, drop_last: bool = False
    ) -> None:
        self.sampler = sampler
        self.sizes = sizes
        groups = group_sizes(sorted(sizes), pixels, pad)
        full = {group[0]: len(group) for group in sorted(groups, key=len)}
        self.lengths = [len(group) for group in groups]
        self.kept = [not (drop_last and not pad and len(group) < full[group[0]]) for group in groups]

    def __len__(self) -> int:
        return sum(self.kept)

    def __iter__(self) -> Iterator[list[SampleKey]]:
        keys = list(self.sampler)
        ranks = sorted(range(len(keys)), key=lambda rank: self.sizes[keys[rank].index])
        ends = np.cumsum(self.lengths).tolist()
        batches = [ranks[end - length : end] for end, length in zip(ends, self.lengths, strict=True)]
        kept = [batch for batch, wanted in zip(batches, self.kept, strict=True) if wanted]
        return iter([[keys[rank] for rank in batch] for batch in sorted(kept, key=min)])


def group_sizes(sizes: Sequence[Size], pixels: int, pad: bool) -> list[list[Size]]:
    """Sizes cut into batches, in their order.

    Args:
        sizes: Sorted.
        pixels: What a batch holds at most, unless one sample alone holds more.
        pad: Let a batch have different sizes, each counting as its largest height and width.
    """
    groups: list[list[Size]] = []
    for size in sizes:
        joined = [*groups[-1], size] if groups else []
        area = max((h for h, _ in joined), default=0) * max((w for _, w in joined), default=0)
        if joined and area * len(joined) <= pixels and (pad or groups[-1][0] == size):
            groups[-1].append(size)
        else:
            groups.append([size])
    return groups


class PaddingCollate:
    """Joins examples into a batch as large as the largest of them; what is added is ignored.

    Args:
        fill: What the added pixels hold, one value a band: the training mean.
    """

    def __init__(self, fill: Sequence[float]) -> None:
        self.fill = torch.tensor(fill, dtype=torch.float32)[:, None, None]

    def __call__(self, examples: Sequence[Example]) -> dict[str, object]:
        """The batch: images (B, C, H, W), masks (B, H, W), names."""
        height = max(example["mask"].shape[0] for example in examples)
        width = max(example["mask"].shape[1] for example in examples)
        padded = [self._padded(example, height, width) for example in examples]
        batch: dict[str, object] = default_collate(padded)
        return batch

    def _padded(self, example: Example, height: int, width: int) -> Example:
        """The example with rows below and columns to the right."""
        rows, columns = example["mask"].shape
        if (rows, columns) == (height, width):
            return example
        image = self.fill.repeat(1, height, width)
        image[:, :rows, :columns] = example["image"]
        mask = torch.full((height, width), IGNORE, dtype=torch.uint8)
        mask[:rows, :columns] = example["mask"]
        return {"image": image, "mask": mask, "name": example["name"]}
