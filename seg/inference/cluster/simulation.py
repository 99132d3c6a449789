"""Load of a scheduler, measured with blocks that compute nothing."""

import pickle
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seg.inference.cluster.answers import Answer, answer
from seg.inference.cluster.block_queue import BlockId, BlockQueue
from seg.inference.cluster.connection import Connection, connected, wait_for_workers
from seg.inference.cluster.dispatch import TASKS_AHEAD
from seg.inference.cluster.settings import cluster_of
from seg.inference.cluster.tasks import compute_blocks
from seg.terminal.progress import progress_bar

OUTPUT = Path("/data/province/maps/a_scene_with_a_long_name_20261128T031541_N0511.tif")
"""Name of a class map in the messages of the simulation."""

COLUMNS = 500
"""Number of columns in the simulated grid of blocks."""


@dataclass(frozen=True)
class Simulation:
    """Results of a simulation.

    Attributes:
        blocks: Number of blocks.
        batch: Number of blocks per task.
        seconds: Time from the first to the last task.
        growth: Growth of the resident memory of the scheduler's process, in bytes per block. With local workers, this
            is also the process of the client.
        payload: Size of a task in bytes per block.
    """

    blocks: int
    batch: int
    seconds: float
    growth: float
    payload: float


def simulate(cluster: str, blocks: int, batch: int) -> Simulation:
    """Send blocks that compute nothing to a cluster, and measure the memory of its scheduler.

    Args:
        cluster: The cluster, as for --cluster.
        blocks: Number of blocks.
        batch: Number of blocks per task.

    Raises:
        ConfigError: The cluster cannot be used.
        IncompleteError: The scheduler is lost.
    """
    with connected(cluster_of(cluster)) as connection:
        wait_for_workers(connection)
        _send(connection, batch * 100, batch)  # Memory that the first tasks take does not count.
        before, began = connection.scheduler_memory(), time.perf_counter()
        _send(connection, blocks, batch)
        seconds, growth = time.perf_counter() - began, connection.scheduler_memory() - before
    sample = tuple((0, column) for column in range(batch))
    return Simulation(
        blocks, batch, seconds, growth / blocks, len(pickle.dumps((compute_blocks, OUTPUT, sample))) / batch
    )


def compute_nothing(output: Path, blocks: Sequence[BlockId]) -> Answer:
    """Task that computes nothing; it takes the arguments of `compute_blocks`."""
    return answer(lambda: len(blocks))


def _send(connection: Connection[int], blocks: int, batch: int) -> None:
    queue = BlockQueue(divmod(number, COLUMNS) for number in range(blocks))
    most = TASKS_AHEAD * len(connection.workers())
    done = 0
    with progress_bar("blocks", blocks) as bar:
        while done < blocks:
            while len(queue) and len(connection) < most:
                taken = queue.take(batch)
                connection.send(len(taken), compute_nothing, OUTPUT, taken)
            for count, _ in connection.answers(1.0):
                done += count
            bar.move(done, blocks)
