"""A data loader that names the sample when a worker process dies, gets stuck or meets a damaged file."""

import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
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
"""How often a loader that waits looks whether its workers live."""

_HELD_BATCHES = 2
"""That the training process holds at a time: the one it trains on, and the next."""


@dataclass(frozen=True)
class Batching:
    """Which samples come together, and how.

    Attributes:
        sampler: The order of single samples, each a batch, or of batches.
        collate: Joins the examples of a batch.
        batch_bytes: What the tensors of the largest batch take; 0 where nobody knows. Where it is known, and not large,
            workers send batches together, through shared memory that is used again.
    """

    sampler: EpochSampler | BucketSampler
    collate: Collate = stack
    batch_bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class LoaderConfig:
    """How worker processes load samples.

    Args:
        prefetch_factor: Batches that each worker holds ready, or groups of up to 32 small ones, of 64 MiB together at
            most; memory grows with workers times this.
        pin_memory: Copy batches into page-locked memory, from which a GPU takes them faster; nothing without a GPU.
        persistent_workers: Keep workers from one epoch to the next.
        drop_last: Leave out an epoch's last training batch, or the last of a size, if it is shorter than the others.
        timeout: Seconds that a worker may take for one sample.

    Raises:
        ConfigError: A number cannot work.
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
    """PyTorch's loader, to be made with `build_loader`; its errors about workers name the sample.

    It says how many batches of an epoch it gave, and can go on after them: Lightning's protocol of stateful loaders.
    """

    _given = _wanted = (0, 0)  # an epoch, and how many of its batches

    def state_dict(self) -> dict[str, int]:
        """The present `epoch`, counted from 0, and how many `batches` of it were given."""
        return {"epoch": self._given[0], "batches": self._given[1]}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Go on after those batches, without loading one of them, if the next epoch is the one they were of."""
        self._wanted = state_dict["epoch"], state_dict["batches"]

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]  # PyTorch says that it gives a class of its own
        """The batches of an epoch.

        Raises:
            DatasetError: A worker died, or took too long over a sample.
            RasterError: A file cannot be read.
        """
        self._begin()
        before = signal.getsignal(signal.SIGCHLD)
        batches = super().__iter__()
        # PyTorch's handler would raise wherever the program happens to be; here the poll finds a dead worker.
        if signal.getsignal(signal.SIGCHLD) != before:
            signal.signal(signal.SIGCHLD, before)
        while (group := self._next(batches)) is not None:
            while group:
                self._given = self._given[0], self._given[1] + 1
                yield group.pop(0)  # and forget it: its memory is used again

    def _begin(self) -> None:
        """Leave out what was given before; not before the first batch is asked for, Lightning has said the epoch."""
        epoch = getattr(getattr(self.batch_sampler, "sampler", None), "epoch", 0)
        (of, left_out), self._wanted = self._wanted, (0, 0)
        self._given = epoch, 0
        if of == epoch and isinstance(self.batch_sampler, Groups):
            self._given = epoch, left_out
            self.batch_sampler.left_out = left_out

    def _next(self, batches: Iterator[Any]) -> list[Any] | None:
        """The next batches, or None after the last."""
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
    """A loader of batches.

    Args:
        dataset: The single examples; it notes with `watched` what it loads.
        batching: Which of them come together.
        workers: Processes that load; 0 loads in this one.
        config: How they load.
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
        # For the seed of the workers: drawn from the global one, dropout would get other numbers in a resumed run.
        generator=torch.Generator(),
        # Fork would copy handles and locks of GDAL and PyTorch in any state.
        multiprocessing_context="spawn" if workers else None,
    )


def _slots(batching: Batching, workers: int, on_the_way: int) -> Slots | None:
    """Shared memory for the batches of workers, if they fit there.

    Args:
        batching: Which samples come together.
        workers: Processes that load.
        on_the_way: Batches of a worker that are made or wait.
    """
    if not (workers and batching.batch_bytes):
        return None
    each = min(on_the_way + _HELD_BATCHES, MOST_BYTES // (workers * batching.batch_bytes))
    return Slots(workers, each, batching.batch_bytes) if each else None


def _plain(error: SegError) -> SegError:
    """An error of a worker as it was there: PyTorch puts the worker's traceback into its message."""
    _, traceback, text = str(error).partition("Original Traceback")
    if not traceback:
        return error
    return type(error)(text.strip().splitlines()[-1].partition(": ")[2])
