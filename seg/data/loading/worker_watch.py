"""Which sample each worker process is loading, and the errors about a stuck or dead one, which name it."""

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
"""Of a note: a path, the longest that Linux takes."""

_TIME = struct.Struct("d")
_NOTHING = _TIME.pack(0.0)

_START_SECONDS = 120.0
"""Workers import PyTorch before their first sample, which takes long on a slow disk."""

_DEAD = re.compile(r"DataLoader worker \(pid(?:\(s\))? ([\d, ]+)\)")
"""How PyTorch says that workers died, and which."""

_note: mmap.mmap | None = None
"""Where this process notes what it loads, a file in memory, since it does so for every sample; None if nobody looks."""


@dataclass(frozen=True)
class Unfinished:
    """A sample that a worker has begun and not ended.

    Attributes:
        pid: The worker's process.
        name: The sample's.
        seconds: For how long.
    """

    pid: int
    name: str
    seconds: float


def note_samples_in(folder: Path) -> None:
    """Let this process note in a folder what it loads."""
    global _note
    with (folder / str(os.getpid())).open("w+b") as file:
        file.truncate(_MOST_BYTES)
        _note = mmap.mmap(file.fileno(), _MOST_BYTES)


@contextmanager
def watched(name: str) -> Iterator[None]:
    """Note that a sample is being loaded, until the block ends; an error ends it too.

    Args:
        name: What an error should call the sample.
    """
    note = _note
    if note is None:
        yield
        return
    # The time comes first, and 0 says that there is no sample: so a note that is half written names none.
    text = name.encode()[: _MOST_BYTES - _TIME.size - 1] + b"\0"
    note[: _TIME.size] = _NOTHING
    note[_TIME.size : _TIME.size + len(text)] = text
    note[: _TIME.size] = _TIME.pack(time.monotonic())
    try:
        yield
    finally:
        note[: _TIME.size] = _NOTHING


def unfinished(folder: Path) -> list[Unfinished]:
    """What the processes noted in a folder are loading, the longest first."""
    found = []
    for file in folder.iterdir():
        note = file.read_bytes()
        since = _TIME.unpack_from(note)[0] if len(note) >= _TIME.size else 0
        if since:
            name = note[_TIME.size :].partition(b"\0")[0].decode(errors="replace")
            found.append(Unfinished(int(file.name), name, time.monotonic() - since))
    return sorted(found, key=lambda sample: -sample.seconds)


class WorkerNotes:
    """What a worker process does at its start: note from then on what it loads, in a folder that the loader reads.

    Args:
        patience: Seconds that a worker may take for one sample.
    """

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self.folder = Path(tempfile.mkdtemp(prefix="cropland-seg-samples-"))
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)

    def __call__(self, worker: int) -> None:
        """Note from now on, in this process."""
        set_gdal_options()
        note_samples_in(self.folder)

    def explain(self, error: RuntimeError, waited: float) -> None:
        """Raise what PyTorch's error about its workers means; return if it only says to wait on.

        Args:
            error: PyTorch's.
            waited: Seconds since the last batch.

        Raises:
            DatasetError: A worker died, or is stuck.
        """
        samples = unfinished(self.folder)
        if "timed out" in str(error):
            if samples and samples[0].seconds > self.patience:
                raise self._stuck(samples[0]) from error
            if not samples and waited > max(self.patience, _START_SECONDS):
                raise DatasetError(
                    f"no worker process has begun a sample for {waited:.0f} s; try --data.workers=0, which loads in "
                    "the training process"
                ) from error
            return
        dead = _DEAD.search(str(error))
        if dead is None:
            raise error
        pids = {int(pid) for pid in dead[1].split(",")}
        names = [sample.name for sample in samples if sample.pid in pids]
        raise DatasetError(
            f"{', '.join(names) or 'between two samples'}: the worker process that loads it died, most likely killed "
            "for want of memory; take fewer --data.workers, a lower --data.loader.prefetch_factor or smaller chips"
        ) from error

    def _stuck(self, sample: Unfinished) -> DatasetError:
        # Otherwise PyTorch would wait seconds for it at the end; it has nothing to finish.
        with contextlib.suppress(ProcessLookupError):
            os.kill(sample.pid, signal.SIGKILL)
        return DatasetError(
            f"{sample.name}: still not loaded after {sample.seconds:.1f} s, more than data.loader.timeout, "
            f"{self.patience:g}; see whether its disk answers, or raise the timeout"
        )
