"""Notes of the sample that each worker process is loading; errors name this sample if the worker hangs or dies."""

import contextlib
import mmap
import os
import re
import shutil
import signal
import struct
import tempfile
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from seg.errors import DatasetError
from seg.raster.gdal_options import set_gdal_options

_MOST_BYTES = 4096
"""Size of a note in bytes, enough for the longest path of Linux."""

_TIME = struct.Struct("d")
_NOTHING = _TIME.pack(0.0)

_START_SECONDS = 120.0
"""Shortest time that the loader waits for its workers to begin, since they may import PyTorch from a slow disk."""

_DEAD = re.compile(r"DataLoader worker \(pid(?:\(s\))? ([\d, ]+)\)")
"""PyTorch's message about dead workers, with their process ids."""

_note: mmap.mmap | None = None
"""Memory-mapped file in which this process notes the current sample; None if no loader reads notes."""


@dataclass(frozen=True)
class Unfinished:
    """A sample that a worker is loading.

    Attributes:
        pid: Process id of the worker.
        name: Name of the sample.
        seconds: Time since the worker started to load it.
    """

    pid: int
    name: str
    seconds: float


def note_samples_in(folder: Path) -> None:
    """Write the notes of this process to a folder from now on."""
    global _note
    with (folder / str(os.getpid())).open("w+b") as file:
        file.truncate(_MOST_BYTES)
        _note = mmap.mmap(file.fileno(), _MOST_BYTES)


@contextmanager
def watched(name: str) -> Iterator[None]:
    """Record that this process is loading a sample, as long as the context is open.

    Args:
        name: Name of the sample in error messages.
    """
    note = _note
    if note is None:
        yield
        return
    # A time of 0 means that no sample is being loaded. The 0 is written first, so that a half-written note names no
    # sample.
    text = name.encode()[: _MOST_BYTES - _TIME.size - 1] + b"\0"
    note[: _TIME.size] = _NOTHING
    note[_TIME.size : _TIME.size + len(text)] = text
    note[: _TIME.size] = _TIME.pack(time.monotonic())
    try:
        yield
    finally:
        note[: _TIME.size] = _NOTHING


def unfinished(folder: Path) -> list[Unfinished]:
    """Samples that workers are loading, read from the notes in a folder; the longest running comes first."""
    found = []
    for file in folder.iterdir():
        note = file.read_bytes()
        since = _TIME.unpack_from(note)[0] if len(note) >= _TIME.size else 0
        if since:
            name = note[_TIME.size :].partition(b"\0")[0].decode(errors="replace")
            found.append(Unfinished(int(file.name), name, time.monotonic() - since))
    return sorted(found, key=lambda sample: -sample.seconds)


class WorkerNotes:
    """Initialiser of worker processes that stores their notes in a folder for the loader.

    Args:
        patience: Longest time that a worker may take for one sample, in seconds.
    """

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self.folder = Path(tempfile.mkdtemp(prefix="cropland-seg-samples-"))
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)

    def __call__(self, worker: int) -> None:
        """Start to write notes in this process."""
        set_gdal_options()
        note_samples_in(self.folder)

    def explain(self, error: RuntimeError, waited: float) -> None:
        """Translate PyTorch's error about its workers; return if the loader should wait longer.

        Args:
            error: The error that PyTorch raised.
            waited: Seconds since the last batch.

        Raises:
            DatasetError: A worker died or is stuck.
        """
        samples = unfinished(self.folder)
        if "timed out" in str(error):
            if samples and samples[0].seconds > self.patience:
                raise self._stuck(samples[0]) from error
            if not samples and waited > max(self.patience, _START_SECONDS):
                raise DatasetError(
                    f"no worker process has started to load a sample for {waited:.0f} s; try --data.workers=0, which "
                    "loads in the training process"
                ) from error
            return
        dead = _DEAD.search(str(error))
        if dead is None:
            raise error
        pids = {int(pid) for pid in dead[1].split(",")}
        names = [sample.name for sample in samples if sample.pid in pids]
        raise DatasetError(
            f"{', '.join(names) or 'between two samples'}: the worker process died while loading, probably for lack of "
            "memory; use fewer --data.workers, a lower --data.loader.prefetch_factor or smaller chips"
        ) from error

    def _stuck(self, sample: Unfinished) -> DatasetError:
        # The worker is killed, because PyTorch would wait for it at the end of the program.
        with contextlib.suppress(ProcessLookupError):
            os.kill(sample.pid, signal.SIGKILL)
        return DatasetError(
            f"{sample.name}: not loaded after {sample.seconds:.1f} s, longer than data.loader.timeout, "
            f"{self.patience:g}; check the disk, or raise the timeout"
        )
