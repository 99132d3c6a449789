"""Progress of a cluster's work: blocks, speed, workers, and the report at the end."""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from seg.files import SOFTWARE, write_json
from seg.inference.cluster.connection import WorkerState
from seg.terminal.text import counted, text_table


@dataclass
class WorkerRow:
    """Work of one worker process.

    Attributes:
        host: Name or address of its machine.
        blocks: Number of blocks or files that it finished.
        seconds: Time of its tasks.
        failures: Number of blocks, files or tasks that failed.
        state: "there", "lost" or "left out".
    """

    host: str
    blocks: int = 0
    seconds: float = 0.0
    failures: int = 0
    state: str = "there"


@dataclass
class Watch:
    """Workers and blocks of a run.

    Args:
        clock: Returns the time in seconds, like `time.monotonic`.

    Attributes:
        rows: Work of each worker, by address.
        repeated: Number of blocks whose computation was repeated.
        first_block: Seconds from the start to the first finished block; None until then.
    """

    clock: Callable[[], float] = time.monotonic
    rows: dict[str, WorkerRow] = field(default_factory=dict)
    repeated: int = 0
    first_block: float | None = None

    def __post_init__(self) -> None:
        """Start the clock."""
        self._began = self.clock()
        self._blocks = 0

    @property
    def blocks(self) -> int:
        """Number of blocks that this run computed."""
        return self._blocks

    @property
    def seconds(self) -> float:
        """Time since the start."""
        return self.clock() - self._began

    @property
    def block_seconds(self) -> float | None:
        """Mean time of a block in a worker; None before the first block."""
        busy = sum(row.seconds for row in self.rows.values() if row.blocks)
        return busy / self._blocks if self._blocks else None

    @property
    def lost(self) -> int:
        """Number of workers that are lost."""
        return sum(row.state == "lost" for row in self.rows.values())

    def see(self, workers: Mapping[str, WorkerState], unfit: Collection[str] = ()) -> None:
        """Update the state of all workers.

        Args:
            workers: Workers that are connected, by address.
            unfit: Addresses of workers that are left out.
        """
        for address, state in workers.items():
            self.rows.setdefault(address, WorkerRow(state.host))
        for address, row in self.rows.items():
            row.state = "left out" if address in unfit else "there" if address in workers else "lost"

    def add(self, worker: str, host: str, seconds: float, blocks: int, failures: int = 0) -> None:
        """Count a task that a worker has ended."""
        row = self.rows.setdefault(worker, WorkerRow(host))
        row.host = host
        row.blocks, row.seconds, row.failures = row.blocks + blocks, row.seconds + seconds, row.failures + failures
        self._blocks += blocks
        if blocks and self.first_block is None:
            self.first_block = self.seconds

    def text(self, unit: str = "block") -> str:
        """Speed and workers for the progress bar, as in "3.1 blocks/s, 4 workers, 1 lost"."""
        there = sum(row.state == "there" for row in self.rows.values())
        speed = f"{self._blocks / self.seconds:.3g} {unit}s/s, " if self._blocks and self.seconds > 0 else ""
        return f"{speed}{counted(there, 'worker')}" + (f", {self.lost} lost" if self.lost else "")

    def table(self, unit: str = "block") -> str:
        """Table of workers. It omits lost workers that ended no task; the progress bar counts these."""
        columns = ["worker", f"{unit}s", "seconds", "failed", "state"]
        rows = [
            [f"{row.host} {address}", str(row.blocks), f"{row.seconds:.1f}", str(row.failures), row.state]
            for address, row in self.rows.items()
            if row.blocks or row.failures or row.state != "lost"
        ]
        return text_table(columns, rows)

    def write(self, path: Path, name: str, threads: int) -> None:
        """Write the report as JSON.

        Args:
            path: The file.
            name: Name of the cluster.
            threads: Computing threads of each worker.

        Raises:
            WriteError: The file cannot be written.
        """
        content: dict[str, object] = {
            "software": SOFTWARE,
            "cluster": name,
            "threads": threads,
            "seconds": round(self.seconds, 3),
            "seconds_to_first_block": None if self.first_block is None else round(self.first_block, 3),
            "blocks": self._blocks,
            "repeated_blocks": self.repeated,
            "lost_workers": self.lost,
            "workers": [{"address": address} | asdict(row) for address, row in self.rows.items()],
        }
        write_json(content, path)
