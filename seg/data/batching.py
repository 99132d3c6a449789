"""The order in which samples come, the same for any number of workers and after resuming."""

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from seg.data.datasets import SampleKey


class EpochSampler(Sampler[SampleKey]):
    """A fresh permutation each epoch, decided by seed and epoch alone.

    Lightning calls `set_epoch` before each epoch, after resuming too.

    Args:
        size: Number of samples.
        seed: Seed of the run.
    """

    def __init__(self, size: int, seed: int) -> None:
        self.size = size
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[SampleKey]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.size)
        return iter([SampleKey(self.epoch, int(index)) for index in order])
