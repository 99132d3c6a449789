"""Real processes of a dask cluster on the loopback device."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from distributed import Client, Worker, WorkerPlugin

from seg.raster.writing.block_store import BlockPixels
from seg.raster.writing.shared_store import SharedStore
from support.project import ROOT

STARTING = 60.0
"""Longest time in seconds to wait for a process to start."""


class WrittenBlocks(WorkerPlugin):  # type: ignore[misc]  # dask has no types
    """List each block that a worker has computed, before the worker writes the block.

    Args:
        path: Text file with a line for each block: the name of the store, and the name of the block.
    """

    name = "written-blocks"

    def __init__(self, path: Path) -> None:
        self.path = path

    def setup(self, worker: Worker) -> None:
        """Begin the list in a worker; dask calls this when the worker joins."""
        write, path = SharedStore.write, self.path

        def listed(store: SharedStore, name: str, pixels: BlockPixels) -> None:
            with path.open("a") as file:
                file.write(f"{store.folder.name} {name}\n")
            write(store, name, pixels)

        SharedStore.write = listed  # type: ignore[method-assign]


class DaskProcesses:
    """A scheduler and its workers, each in its own process. No dask nanny restarts a killed worker.

    Args:
        folder: Folder for the files of the processes.

    Attributes:
        address: Address of the scheduler.
        workers: The worker processes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.workers: list[subprocess.Popen[bytes]] = []
        self.address = ""
        self.start_scheduler()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Kill all processes."""
        for process in [*self.workers, self.scheduler]:
            process.kill()
            process.wait()

    def start_scheduler(self) -> None:
        """Start the scheduler; after a restart, it has the same address as before."""
        found = self.folder / "scheduler.json"
        found.unlink(missing_ok=True)
        port = self.address.rpartition(":")[2] or "0"
        words = ["--host=127.0.0.1", f"--port={port}", "--no-dashboard", f"--scheduler-file={found}"]
        self.scheduler = self._start("dask_scheduler", words)
        deadline = time.monotonic() + STARTING
        while not self.address or not found.exists():
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)
            if found.exists() and found.read_text().endswith("}"):
                self.address = json.loads(found.read_text())["address"]

    def start_workers(self, count: int, before: Sequence[str] = ()) -> None:
        """Start single-threaded workers.

        Args:
            count: Number of workers.
            before: Words of a command line that starts the command of a worker, such as unshare.
        """
        words = [self.address, "--no-nanny", "--nthreads=1", "--no-dashboard", "--memory-limit=0"]
        words += [f"--local-directory={self.folder}", "--death-timeout=60"]
        self.workers += [self._start("dask_worker", words, before) for _ in range(count)]

    def wait_for_workers(self, count: int) -> None:
        """Wait until a number of workers are connected."""
        with Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(count, timeout=STARTING)

    def list_blocks(self, path: Path) -> None:
        """List each computed block of all workers, present and future, in a file; see `WrittenBlocks`."""
        with Client(self.address, set_as_default=False) as client:
            client.register_plugin(WrittenBlocks(path))

    def kill_worker(self, number: int) -> None:
        """Send SIGKILL to a worker."""
        self.workers[number].send_signal(signal.SIGKILL)
        self.workers.pop(number).wait()

    @contextmanager
    def no_file_longer_than(self, size: int) -> Iterator[None]:
        """Make writes of the workers beyond a file size in bytes fail, as on a full disk."""
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        with Client(self.address, set_as_default=False) as client:
            client.run(resource.setrlimit, resource.RLIMIT_FSIZE, (size, hard))
        try:
            yield
        finally:
            with Client(self.address, set_as_default=False) as client:
                client.run(resource.setrlimit, resource.RLIMIT_FSIZE, (soft, hard))

    def log(self) -> str:
        """Text that all processes have printed."""
        return (self.folder / "log.txt").read_text()

    def _start(self, module: str, words: Sequence[str], before: Sequence[str] = ()) -> "subprocess.Popen[bytes]":
        command = [*before, sys.executable, "-m", f"distributed.cli.{module}", *words]
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "OMP_NUM_THREADS": "1"}
        with (self.folder / "log.txt").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, env=environment)
