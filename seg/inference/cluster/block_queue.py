"""Blocks of a scene that wait for a worker, and the number of blocks that a worker gets at once."""

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence

BlockId = tuple[int, int]
"""Row and column of a block in the grid of blocks."""

MOST_FAILURES = 3
"""Number of failures after which a block is set aside."""

BATCH_SECONDS = 20.0
"""Time in seconds that a batch should take. Within a batch, the worker reads the next block while it computes a block;
between batches it does not."""

LARGEST_BATCH = 100
"""Largest number of blocks in a batch."""


class BlockQueue:
    """Blocks of a scene: waiting, computed by workers, or set aside after repeated failures.

    Args:
        blocks: The blocks to compute, in the order in which they are sent.

    Attributes:
        aside: Error of each block that was set aside.
        suspected: Blocks that failed, and blocks of tasks that dask gave up.
    """

    def __init__(self, blocks: Iterable[BlockId]) -> None:
        self.aside: dict[BlockId, str] = {}
        self.suspected: set[BlockId] = set()
        self._waiting = deque(blocks)
        self._suspects: deque[BlockId] = deque()
        self._failures: Counter[BlockId] = Counter()
        self._running = 0

    def __len__(self) -> int:
        """Number of blocks that wait for a worker."""
        return len(self._waiting) + len(self._suspects)

    @property
    def is_finished(self) -> bool:
        """True if no block waits for a worker, and no worker computes a block."""
        return not len(self) and not self._running

    def take(self, most: int) -> tuple[BlockId, ...]:
        """The next blocks for a worker. A suspected block is sent alone, so that it harms no other block.

        Args:
            most: Largest number of blocks.
        """
        if self._waiting:
            taken = tuple(self._waiting.popleft() for _ in range(min(most, len(self._waiting))))
        else:
            taken = (self._suspects.popleft(),)
        self._running += len(taken)
        return taken

    def give_back(self, blocks: Sequence[BlockId]) -> None:
        """Put blocks that were not computed back into the queue, without counting a failure."""
        self._running -= len(blocks)
        for block in reversed(blocks):
            (self._suspects if block in self.suspected else self._waiting).appendleft(block)

    def finish(self, blocks: Sequence[BlockId], failed: Mapping[BlockId, str]) -> None:
        """Count blocks as computed. Failed blocks are sent again; after several failures they are set aside.

        Args:
            blocks: Blocks that were taken together.
            failed: Error of each block that failed.
        """
        self._running -= len(blocks)
        for block, error in failed.items():
            self._failures[block] += 1
            if self._failures[block] >= MOST_FAILURES:
                self.aside[block] = error
            else:
                self._suspect(block)

    def lose(self, blocks: Sequence[BlockId], deaths: Mapping[BlockId, int], error: str) -> None:
        """Take back the blocks of a task that dask gave up.

        dask gives up a task after four workers died while they held it. Another task may have caused these deaths. So a
        death counts as a failure of a block only if the worker was computing this block alone.

        Args:
            blocks: Blocks that were taken together.
            deaths: For each block, the number of workers that died while they computed this block alone.
            error: Error of a block that is set aside, because `MOST_FAILURES` workers died while they computed it.
        """
        self._running -= len(blocks)
        for block in blocks:
            if deaths.get(block, 0) >= MOST_FAILURES:
                self.aside[block] = error
            else:
                self._suspect(block)

    def _suspect(self, block: BlockId) -> None:
        self.suspected.add(block)
        self._suspects.append(block)


def batch_size(seconds: float | None, waiting: int, workers: int) -> int:
    """Number of blocks for one worker.

    Args:
        seconds: Mean time of a block so far; None if no block is finished.
        waiting: Number of blocks that wait for a worker.
        workers: Number of workers. Towards the end of the work, batches become small, so that all workers end together.
    """
    if seconds is None:
        return 1
    wanted = LARGEST_BATCH if seconds <= BATCH_SECONDS / LARGEST_BATCH else int(BATCH_SECONDS / seconds)
    most = waiting if workers == 1 else waiting // (2 * max(workers, 1))
    return max(min(wanted, most, LARGEST_BATCH), 1)
