"""Data loader whose errors name the sample if a worker process dies, gets stuck or reads a damaged file."""

import multiprocessing
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.context import BaseContext
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from seg.data.loading.batching import BucketSampler, EpochSampler, stack
from seg.data.loading.grouping import Batches, Groups, batches_together
from seg.data.loading.shared_memory import MOST_BYTES, Collate, Slots
from seg.data.loading.worker_watch import WorkerNotes
from seg.data.sample import Example
from seg.errors import ConfigError, SegError

_POLL_SECONDS = 1.0
"""Interval at which a waiting loader checks that its workers are alive."""

_HELD_BATCHES = 2
"""Batches that the training process holds: the current one and the next."""


_DATASETS = ("seg.data.augmentation.pipeline", "seg.data.samples.chips", "seg.data.samples.views")
"""Modules that workers need and whose import takes seconds."""


@dataclass(frozen=True)
class Batching:
    """Order and composition of batches.

    Attributes:
        sampler: Order of batches, or of single samples if each batch holds one sample.
        collate: Function that makes a batch from examples.
        batch_bytes: Bytes of the tensors in the largest batch; 0 if unknown. If the size is known and small, workers
            send batches in groups, through reusable shared memory.
    """

    sampler: EpochSampler | BucketSampler
    collate: Collate = stack
    batch_bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class LoaderConfig:
    """Settings of the worker processes.

    Args:
        prefetch_factor: Number of batches that each worker prepares in advance. Small batches are sent in groups of up
            to 32 batches and 64 MiB; in this case, each worker prepares this number of groups. Memory is proportional
            to this number times the number of workers.
        pin_memory: Copy batches into page-locked memory, from which a GPU reads faster; no effect without a GPU.
        persistent_workers: Keep worker processes from one epoch to the next.
        drop_last: Leave out incomplete batches: the last batch of an epoch, or the last batch of each sample size.
        timeout: Longest time that a worker may take for one sample, in seconds.

    Raises:
        ConfigError: A number is out of range.
    """

    prefetch_factor: int = 2
    pin_memory: bool = True
    persistent_workers: bool = True
    drop_last: bool = False
    timeout: float = 300.0

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.prefetch_factor < 1:
            raise ConfigError(f"data.loader.prefetch_factor is {self.prefetch_factor}; wanted 1 or more")
        if not self.timeout > 0:
            raise ConfigError(f"data.loader.timeout is {self.timeout:g}; wanted seconds, above 0")


class WatchedLoader(DataLoader[Example]):
    """PyTorch's data loader, with errors that name the sample; made by `build_loader`.

    The class follows Lightning's protocol of stateful loaders: it counts the loaded batches of an epoch, and a resumed
    run skips them.
    """

    _position = _resumed = (0, 0)  # pairs of an epoch and the number of its loaded batches

    def state_dict(self) -> dict[str, int]:
        """Current `epoch`, from 0, and the number of `batches` that were loaded in this epoch."""
        return {"epoch": self._position[0], "batches": self._position[1]}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Skip the batches that were already loaded, if the next iteration belongs to the same epoch."""
        self._resumed = state_dict["epoch"], state_dict["batches"]

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]  # PyTorch declares its own iterator class
        """Batches of an epoch.

        Raises:
            DatasetError: A worker died, or exceeded the timeout.
            RasterError: A file cannot be read.
        """
        self._begin()
        before = signal.getsignal(signal.SIGCHLD)
        batches = super().__iter__()
        # PyTorch's signal handler would raise anywhere in the program. The poll in _next finds a dead worker instead.
        if signal.getsignal(signal.SIGCHLD) != before:
            signal.signal(signal.SIGCHLD, before)
        while (group := self._next(batches)) is not None:
            while group:
                self._position = self._position[0], self._position[1] + 1
                yield group.pop(0)  # The batch is popped, so that its memory can be reused.

    def _begin(self) -> None:
        """Skip the loaded batches of a resumed epoch; called after Lightning has set the epoch."""
        epoch = getattr(getattr(self.batch_sampler, "sampler", None), "epoch", 0)
        (resumed_epoch, left_out), self._resumed = self._resumed, (0, 0)
        self._position = epoch, 0
        if resumed_epoch == epoch and isinstance(self.batch_sampler, Groups):
            self._position = epoch, left_out
            self.batch_sampler.left_out = left_out

    def _next(self, batches: Iterator[Any]) -> list[Any] | None:
        """Next group of batches, or None after the last."""
        since = time.monotonic()
        while True:
            try:
                return next(batches, None)
            except SegError as error:
                raise _plain(error) from error
            except RuntimeError as error:
                if not isinstance(self.worker_init_fn, WorkerNotes):
                    raise
                self.worker_init_fn.explain(error, time.monotonic() - since)


def build_loader(
    dataset: Dataset[Example],
    batching: Batching,
    workers: int = 0,
    config: LoaderConfig = LoaderConfig(),
) -> WatchedLoader:
    """Build a loader of batches.

    Args:
        dataset: Dataset of single examples; must load each example within `watched`.
        batching: Order and composition of batches.
        workers: Number of worker processes; 0 loads in this process.
        config: Settings of the worker processes.
    """
    together = batches_together(batching.batch_bytes) if workers else 1
    return WatchedLoader(
        Batches(dataset, batching.collate, _slots(batching, workers, together * (config.prefetch_factor + 1))),
        batch_sampler=Groups(batching.sampler, together, max(workers, 1)),
        collate_fn=list,
        num_workers=workers,
        prefetch_factor=config.prefetch_factor if workers else None,
        pin_memory=config.pin_memory and torch.cuda.is_available(),
        persistent_workers=config.persistent_workers and workers > 0,
        timeout=min(config.timeout, _POLL_SECONDS) if workers else 0,
        worker_init_fn=WorkerNotes(config.timeout) if workers else None,
        # The workers' seed comes from a separate generator, because a draw from the global generator would change
        # dropout after resuming.
        generator=torch.Generator(),
        multiprocessing_context=_worker_context() if workers else None,
    )


def _worker_context() -> BaseContext:
    """Way to start workers: as forks of a server that has only imported modules or, on Windows, as new processes.

    Workers are not forked from this process, because fork would copy handles and locks of GDAL and PyTorch in an
    arbitrary state. The server imports PyTorch once for all workers.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, *_DATASETS])
    return context


def _slots(batching: Batching, workers: int, on_the_way: int) -> Slots | None:
    """Shared memory for the workers' batches; None if the batches are too large.

    Args:
        batching: Order and composition of batches.
        workers: Number of worker processes.
        on_the_way: Number of a worker's batches that are in preparation or waiting.
    """
    if not (workers and batching.batch_bytes):
        return None
    each = min(on_the_way + _HELD_BATCHES, MOST_BYTES // (workers * batching.batch_bytes))
    return Slots(workers, each, batching.batch_bytes) if each else None


def _plain(error: SegError) -> SegError:
    """The worker's original error. PyTorch adds a traceback to the message, which is removed."""
    _, traceback, text = str(error).partition("Original Traceback")
    if not traceback:
        return error
    return type(error)(text.strip().splitlines()[-1].partition(": ")[2])
