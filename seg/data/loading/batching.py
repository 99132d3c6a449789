"""Which samples come when, and together: the same for any number of workers and after resuming."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Sampler

from seg.data.loading.sharding import WHOLE, Shard, padding_key
from seg.data.sample import Example, SampleKey
from seg.labels import IGNORE

Size = tuple[int, int]
"""Height and width."""


class EpochSampler(Sampler[SampleKey]):
    """A fresh permutation each epoch, decided by seed and epoch alone.

    Lightning calls `set_epoch` before each epoch, after resuming too.

    Args:
        size: Number of samples.
        seed: Seed of the run; None leaves the samples in their order.
        shard: The part of this process, where each sample is a batch.
    """

    def __init__(self, size: int, seed: int | None, shard: Shard = WHOLE) -> None:
        self.size = size
        self.seed = seed
        self.shard = shard
        self.epoch = 0
        self.kept: frozenset[int] | None = None

    def keep(self, indexes: Collection[int] | None) -> None:
        """Give these samples only, in the order that they have among all; None for all again."""
        self.kept = None if indexes is None else frozenset(indexes)

    def batches_of(self, indexes: Collection[int]) -> int:
        """How many batches of one these samples make."""
        return self.shard.length(len(indexes))

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.shard.length(self.size if self.kept is None else len(self.kept))

    def __iter__(self) -> Iterator[SampleKey]:
        order = np.arange(self.size)
        if self.seed is not None:
            order = np.random.default_rng([self.seed, self.epoch]).permutation(self.size)
        kept = [int(index) for index in order if self.kept is None or int(index) in self.kept]
        places = self.shard.places(len(kept))
        return iter([SampleKey(self.epoch, kept[place], padding) for place, padding in places])


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
        shard: The part of this process; the sampler has all samples.
    """

    def __init__(
        self,
        sampler: EpochSampler,
        sizes: Sequence[Size],
        pixels: int,
        pad: bool = False,
        drop_last: bool = False,
        *,
        shard: Shard = WHOLE,
    ) -> None:
        self.sampler = sampler
        self.sizes = sizes
        self.shard = shard
        self.pixels, self.pad, self.drop_last = pixels, pad, drop_last
        self.lengths, self.kept = self._plan(range(len(sizes)))

    def keep(self, indexes: Collection[int] | None) -> None:
        """Make batches of these samples only; None for all again."""
        self.sampler.keep(indexes)
        self.lengths, self.kept = self._plan(range(len(self.sizes)) if indexes is None else indexes)

    def batches_of(self, indexes: Collection[int]) -> int:
        """How many batches these samples make."""
        return self.shard.length(sum(self._plan(indexes)[1]))

    def _plan(self, indexes: Collection[int]) -> tuple[list[int], list[bool]]:
        """How many samples each batch has, and whether it is kept."""
        groups = group_sizes(sorted(self.sizes[index] for index in indexes), self.pixels, self.pad)
        full = {group[0]: len(group) for group in sorted(groups, key=len)}
        drops = self.drop_last and not self.pad
        return [len(group) for group in groups], [not (drops and len(group) < full[group[0]]) for group in groups]

    def __len__(self) -> int:
        return self.shard.length(sum(self.kept))

    def __iter__(self) -> Iterator[list[SampleKey]]:
        keys = list(self.sampler)
        ranks = sorted(range(len(keys)), key=lambda rank: self.sizes[keys[rank].index])
        ends = np.cumsum(self.lengths).tolist()
        batches = [ranks[end - length : end] for end, length in zip(ends, self.lengths, strict=True)]
        kept = sorted((batch for batch, wanted in zip(batches, self.kept, strict=True) if wanted), key=min)
        # Not before the first batch is asked for: Lightning makes the iterator before it tells epoch and samples.
        for place, padding in self.shard.places(len(kept)):
            samples = [keys[rank] for rank in kept[place]]
            yield [padding_key(sample) for sample in samples] if padding else samples


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


def stack(examples: Sequence[Example]) -> dict[str, Any]:
    """A batch of examples of one size: images (B, C, H, W), masks (B, H, W), names.

    As PyTorch's own collate makes it, but without a copy of a single example, and never in new shared memory.
    """
    batch: dict[str, Any] = {"name": [example["name"] for example in examples]}
    for key in ("image", "mask"):
        tensors = [example[key] for example in examples]
        batch[key] = torch.stack(tensors) if len(tensors) > 1 else tensors[0][None]
    return batch


class PaddingCollate:
    """Joins examples into a batch as large as the largest of them; what is added is ignored.

    Args:
        fill: What the added pixels hold, one value a band: the training mean.
    """

    def __init__(self, fill: Sequence[float]) -> None:
        self.fill = torch.tensor(fill, dtype=torch.float32)[:, None, None]

    def __call__(self, examples: Sequence[Example]) -> dict[str, Any]:
        """The batch: images (B, C, H, W), masks (B, H, W), names."""
        height = max(example["mask"].shape[0] for example in examples)
        width = max(example["mask"].shape[1] for example in examples)
        return stack([self._padded(example, height, width) for example in examples])

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
