"""State of a scene whose blocks are computed on a cluster; the client holds the claim on its output."""

from collections.abc import Iterable
from contextlib import ExitStack
from enum import Enum, auto

from seg.errors import ConfigError, IncompleteError, NoOverlapError, PackageError, listed
from seg.inference.blocks.pipeline import Findings
from seg.inference.cluster.block_queue import BlockId, BlockQueue
from seg.inference.cluster.shared_plan import SharedPlan, block_name, deaths_at, write_plan
from seg.inference.inputs import Job
from seg.inference.planning.plan import Plan
from seg.raster.remote import shown_name
from seg.raster.windows import Block
from seg.raster.writing.block_store import BlockStore, open_store
from seg.terminal.text import counted

MOST_ATTEMPTS = 3
"""Number of workers that may fail to plan, open or assemble a scene before the scene fails."""

MOST_LOST = 10
"""Number of times that dask may give up planning or assembling a scene before the scene fails. dask gives up a task
after several workers died while they held it."""

PERHAPS = "perhaps for lack of memory; use smaller blocks with a lower --memory"

FINAL = (ConfigError, NoOverlapError, PackageError)
"""Errors of a scene that every worker would report."""


class Stage(Enum):
    """Stages of a scene."""

    WAITING = auto()
    PLANNING = auto()
    COMPUTING = auto()
    ASSEMBLING = auto()
    ENDED = auto()


class SceneRun:
    """A scene, its blocks and its claim.

    Args:
        job: The scene and its output.

    Attributes:
        stage: Stage of the scene.
        avoided: Addresses of workers that failed on the scene.
        blocks: Blocks to compute.
        total: Number of blocks; 0 before the scene is planned.
        done: Number of blocks in the store.
        findings: Problems in the computed blocks.
        error: Reason why the scene failed; None if it did not fail.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.stage = Stage.WAITING
        self.avoided: set[str] = set()
        self.blocks = BlockQueue([])
        self.total, self.done = 0, 0
        self.findings: list[Findings] = []
        self.error: Exception | None = None
        self._attempts, self._lost = 0, 0
        self._claim = ExitStack()
        self._plan: Plan | None = None
        self._store: BlockStore | None = None

    def begin(self, shared: SharedPlan, restart: bool) -> None:
        """Claim the output, write the plan beside the blocks, and queue the blocks that are not in the store.

        Raises:
            RasterError: The folder holds blocks of another run.
            ClaimError: Another process has claimed the folder.
            WriteError: The plan cannot be written.
        """
        plan = shared.plan()
        store = self._claim.enter_context(open_store(self.job.output, plan.record, restart))
        write_plan(shared)
        todo = [block for block in plan.blocks if block.name not in store]
        self._plan, self._store = plan, store
        self.total, self.done = len(plan.blocks), len(plan.blocks) - len(todo)
        self.blocks = BlockQueue((block.row, block.column) for block in _largest_first(todo))
        self.stage = Stage.COMPUTING

    @property
    def plan(self) -> Plan:
        """The plan of the scene.

        Raises:
            ValueError: The scene has not begun.
        """
        if self._plan is None:
            raise ValueError(f"{self.job.scene}: has not begun")
        return self._plan

    @property
    def found(self) -> Findings:
        """Problems in all blocks that this run computed."""
        computed = self.findings
        return Findings(
            sum(each.zero_pixels for each in computed),
            sum(each.damaged_pixels for each in computed),
            bool(computed) and all(each.nodata_unmatched for each in computed),
            any(each.void_found for each in computed),
        )

    def count(self, blocks: tuple[BlockId, ...], failed: dict[BlockId, str], findings: Iterable[Findings]) -> None:
        """Count the blocks of an answer."""
        self.blocks.finish(blocks, failed)
        self.done += len(blocks) - len(failed)
        self.findings += findings

    def lose(self, blocks: tuple[BlockId, ...]) -> None:
        """Take back the blocks of a task that dask gave up."""
        deaths = {block: deaths_at(self.job.output, block) for block in blocks}
        self.blocks.lose(blocks, deaths, f"{shown_name(self.job.scene)}: several workers died on this block, {PERHAPS}")

    def avoid(self, worker: str, error: Exception) -> bool:
        """Avoid a worker that failed on the scene; False if the scene has failed for good.

        Args:
            worker: Address of the worker.
            error: Its error.
        """
        self.avoided.add(worker)
        self._attempts += 1
        return not isinstance(error, FINAL) and self._attempts < MOST_ATTEMPTS

    def may_run_again(self) -> bool:
        """Count that dask gave up planning or assembling the scene; False if the scene has failed for good."""
        self._lost += 1
        return self._lost < MOST_LOST

    def aside(self) -> IncompleteError | None:
        """An error that lists the blocks that were set aside; None if there are none."""
        if not self.blocks.aside:
            return None
        names = listed([block_name(block) for block in sorted(self.blocks.aside)])
        error = next(iter(self.blocks.aside.values()))
        return IncompleteError(
            f"{shown_name(self.job.scene)}: {counted(len(self.blocks.aside), 'block')} of {self.total} failed three "
            f"times ({names}): {error}; the other blocks are kept"
        )

    def end(self, error: Exception | None = None) -> None:
        """End the scene; if it did not fail, remove its blocks.

        Args:
            error: Reason why the scene failed; None if it did not fail.
        """
        self.error = error
        if error is None and self._store is not None:
            self._store.discard()
        self.stop()

    def stop(self) -> None:
        """Release the claim, and keep the blocks."""
        self.stage = Stage.ENDED
        self._claim.close()
        self._store = None


def _largest_first(blocks: list[Block]) -> list[Block]:
    """The largest block, then all others in order, so that a run whose workers lack memory fails early."""
    largest = max(range(len(blocks)), key=lambda at: blocks[at].read.width * blocks[at].read.height, default=0)
    return [*blocks[largest : largest + 1], *blocks[:largest], *blocks[largest + 1 :]]
