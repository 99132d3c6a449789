"""Order and batches of the samples; they do not depend on the number of workers or on resuming."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Sampler

from seg.data.loading.sharding import WHOLE, Shard, padding_key
from seg.data.sample import Example, SampleKey
from seg.labels import IGNORE

Size = tuple[int, int]
"""Height and width."""

_LABELLED, _UNLABELLED = ("image", "mask", "percent"), ("clean", "strong", "source", "clean_percent")
"""Layers of an example that are as large as its labelled image, and layers as large as its unlabelled image."""


class EpochSampler(Sampler[SampleKey]):
    """Sampler with a new permutation in each epoch, which depends only on seed and epoch.

    Lightning calls `set_epoch` before each epoch, also after resuming.

    Args:
        size: Number of samples.
        seed: Seed of the run; None for the order of the dataset.
        shard: Share of this process, if each batch holds one sample.
    """

    def __init__(self, size: int, seed: int | None, shard: Shard = WHOLE) -> None:
        self.size = size
        self.seed = seed
        self.shard = shard
        self.epoch = 0
        self.kept: frozenset[int] | None = None

    def keep(self, indexes: Collection[int] | None) -> None:
        """Restrict the sampler to some samples, in unchanged order; None removes the restriction."""
        self.kept = None if indexes is None else frozenset(indexes)

    def batches_of(self, indexes: Collection[int]) -> int:
        """Number of batches for some samples if each batch holds one sample."""
        return self.shard.length(len(indexes))

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next iteration."""
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
    """Sampler of batches of equally large samples; a sample is a batch of its own if no other has its size.

    Samples of one size are batched in the order in which the given sampler yields them. The number of batches is the
    same in every epoch.

    Args:
        sampler: Order of the samples; Lightning sets its epoch.
        sizes: Size of each sample.
        pixels: Largest number of pixels in a batch; only a batch of one sample may have more.
        pad: Also batch samples of similar size. `pixels` then limits the number of samples times the largest height and
            width of the batch.
        drop_last: Leave out an incomplete batch if there is a full batch of the same sample size.
        shard: Share of this process; the sampler yields the samples of all processes.
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
        """Restrict the batches to some samples; None removes the restriction."""
        self.sampler.keep(indexes)
        self.lengths, self.kept = self._plan(range(len(self.sizes)) if indexes is None else indexes)

    def batches_of(self, indexes: Collection[int]) -> int:
        """Number of batches for some samples."""
        return self.shard.length(sum(self._plan(indexes)[1]))

    def _plan(self, indexes: Collection[int]) -> tuple[list[int], list[bool]]:
        """Number of samples of each batch, and True for each batch that is kept."""
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
        # This method is a generator, so the code above runs only when the first batch is requested. Lightning creates
        # the iterator earlier, before it sets the epoch and the samples.
        for place, padding in self.shard.places(len(kept)):
            samples = [keys[rank] for rank in kept[place]]
            yield [padding_key(sample) for sample in samples] if padding else samples


def group_sizes(sizes: Sequence[Size], pixels: int, pad: bool) -> list[list[Size]]:
    """Divide sorted sizes into batches.

    Args:
        sizes: Sorted sizes.
        pixels: Largest number of pixels in a batch; only a batch of one sample may have more.
        pad: Allow different sizes in a batch. `pixels` then limits the number of samples times the largest height and
            width.
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


def stack(examples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Stack equally large examples into a batch with images (B, C, H, W), masks (B, H, W), names and other values.

    The collate function of PyTorch would copy even a single example and, in a worker, allocate new shared memory.
    """
    batch: dict[str, Any] = {}
    for key, first in examples[0].items():
        values = [example[key] for example in examples]
        if isinstance(first, Tensor):
            batch[key] = torch.stack(values) if len(values) > 1 else first[None]
        else:
            batch[key] = values
    return batch


class PaddingCollate:
    """Pad examples to the largest height and width and stack them; added pixels are labelled "ignore".

    Args:
        fill: Value of the added pixels in each band: the training mean.
    """

    def __init__(self, fill: Sequence[float]) -> None:
        self.fill = torch.tensor(fill, dtype=torch.float32)[:, None, None]

    def __call__(self, examples: Sequence[Example]) -> dict[str, Any]:
        """Batch of images (B, C, H, W), masks (B, H, W) and names; unlabelled images may have another size."""
        padded: list[dict[str, Any]] = [dict(example) for example in examples]
        for keys in (_LABELLED, _UNLABELLED):
            present = [key for key in padded[0] if key in keys]
            sizes = [example[key].shape[-2:] for example in padded for key in present]
            height, width = (max((size[axis] for size in sizes), default=0) for axis in (0, 1))
            for example in padded:
                example |= {key: self._padded(example[key], height, width) for key in present}
        return stack(padded)

    def _padded(self, layers: Tensor, height: int, width: int) -> Tensor:
        """Layers with rows added below and columns added on the right; images are float, all other layers are uint8."""
        rows, columns = layers.shape[-2:]
        if (rows, columns) == (height, width):
            return layers
        fill = self.fill if layers.is_floating_point() else torch.tensor(IGNORE, dtype=torch.uint8)
        padded = fill.expand(*layers.shape[:-2], height, width).clone()
        padded[..., :rows, :columns] = layers
        return padded
