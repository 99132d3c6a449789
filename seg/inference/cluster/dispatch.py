"""Distribute the scenes of a prediction over the workers of a cluster.

Workers write finished blocks to a folder beside each output. A worker that dies loses only its unwritten blocks. If the
scheduler or this process is lost, the same command computes the missing blocks.
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from seg.errors import PackageError
from seg.inference.cluster.answers import Answer, Problem
from seg.inference.cluster.block_queue import BlockId, batch_size
from seg.inference.cluster.connection import Connection, Lost
from seg.inference.cluster.report import Watch
from seg.inference.cluster.scene_run import PERHAPS, SceneRun, Stage
from seg.inference.cluster.shared_plan import Recipe
from seg.inference.cluster.tasks import (
    Computed,
    Planned,
    assemble_scene,
    compute_blocks,
    plan_scene,
    write_scene_layers,
)
from seg.inference.identity import discard_leftovers

POLL = 0.5
"""Longest time in seconds to wait for the next answer."""

TASKS_AHEAD = 2
"""Number of tasks per worker that are sent: one runs, and one waits in the worker."""

SCENES_AHEAD = 2
"""Number of scenes that may be open in addition to one scene for each worker."""


@dataclass(frozen=True)
class Work:
    """Label of a task.

    Attributes:
        stage: Stage of the scene to which the task belongs.
        scene: Number of the scene.
        blocks: Blocks of the task.
        among: Addresses of the workers that may run the task; None for all workers.
        layers_only: True if the maps of an earlier run are kept, and only the features and distances are written.
    """

    stage: Stage
    scene: int
    blocks: tuple[BlockId, ...] = ()
    among: frozenset[str] | None = None
    layers_only: bool = False


@dataclass(frozen=True)
class Ended:
    """A scene that has ended.

    Attributes:
        run: The scene.
        kept: True if the maps of an earlier run are kept.
        layers: Files of features and distances that were written.
    """

    run: SceneRun
    kept: bool = False
    layers: tuple[object, ...] = ()


class Dispatcher:
    """Sends tasks to workers until all scenes have ended.

    Args:
        cluster: Connection to the workers.
        runs: The scenes.
        recipe: Models and settings.
        watch: Counts blocks and workers.

    Attributes:
        unfit: Error of each worker that gets no more tasks, by the address of the worker.
    """

    def __init__(self, cluster: Connection[Work], runs: Sequence[SceneRun], recipe: Recipe, watch: Watch) -> None:
        self.cluster, self.runs, self.recipe, self.watch = cluster, runs, recipe, watch
        self.unfit: dict[str, str] = {}
        self._ended: list[Ended] = []
        self._workers = cluster.workers()
        self._looked = time.monotonic()
        self._said: set[str] = set()
        self._models_ready = False
        self._held: list[Work] = []

    def run(self, step: Callable[[], None]) -> Iterator[Ended]:
        """Yield each scene when it has ended.

        Args:
            step: Called after each round of answers, and at least once a second.

        Raises:
            IncompleteError: The scheduler is lost.
            PackageError: No worker can load the models.
        """
        while any(run.stage != Stage.ENDED for run in self.runs) or self._ended:
            if time.monotonic() - self._looked >= 1 or not self._workers:
                self.look()
            self._send()
            for work, answer in self.cluster.answers(POLL):
                self._receive(work, answer)
            step()
            ended, self._ended = self._ended, []
            yield from ended

    def release(self) -> None:
        """Release the claims of all scenes that have not ended."""
        for run in self.runs:
            if run.stage != Stage.ENDED:
                run.stop()

    def look(self) -> None:
        """Update the list of workers, and take back tasks that only lost workers were allowed to run.

        Raises:
            IncompleteError: The scheduler is lost.
        """
        self._workers, self._looked = self.cluster.workers(), time.monotonic()
        self.watch.see(self._workers, self.unfit)
        for work in self.cluster.withdraw(
            lambda work: work.among is not None and not work.among & self._workers.keys()
        ):
            self._take_back(work)

    def _send(self) -> None:
        fit = len(self._workers.keys() - self.unfit.keys())
        if not fit:
            return
        held, self._held = self._held, []
        for work in held:
            self._submit(work)
        room = TASKS_AHEAD * fit - len(self.cluster)
        self._plan_scenes(fit)
        waiting = sum(len(run.blocks) for run in self.runs if run.stage == Stage.COMPUTING)
        for number, run in enumerate(self.runs):
            while run.stage == Stage.COMPUTING and len(run.blocks) and room > 0:
                blocks = run.blocks.take(batch_size(self.watch.block_seconds, waiting, fit))
                waiting -= len(blocks)
                room -= 1
                self._submit(Work(Stage.COMPUTING, number, blocks))

    def _plan_scenes(self, fit: int) -> None:
        """Plan further scenes if few blocks wait.

        The first scene is planned before all others, since its worker may have to export the models.
        """
        stages = [run.stage for run in self.runs]
        waiting = sum(len(run.blocks) for run in self.runs if run.stage == Stage.COMPUTING)
        planning = stages.count(Stage.PLANNING)
        claimed = stages.count(Stage.COMPUTING) + stages.count(Stage.ASSEMBLING)
        most = fit if self._models_ready else 1
        for number, run in enumerate(self.runs):
            if planning >= most or planning + claimed >= fit + SCENES_AHEAD or waiting > TASKS_AHEAD * fit:
                return
            if run.stage == Stage.WAITING:
                planning += 1
                run.stage = Stage.PLANNING
                self._submit(Work(Stage.PLANNING, number))

    def _submit(self, work: Work) -> None:
        run, recipe = self.runs[work.scene], self.recipe
        among: frozenset[str] | None = None
        if self.unfit or run.avoided:
            fit = self._workers.keys() - self.unfit.keys()
            among = frozenset(fit - run.avoided or fit)
        if among is not None and not among:
            self._take_back(work)
            return
        work = Work(work.stage, work.scene, work.blocks, among, work.layers_only)
        output = run.job.output
        if work.stage == Stage.PLANNING:
            hosts = [worker.host for worker in self._workers.values()]
            sharing = max(map(hosts.count, hosts), default=1)
            self.cluster.send(work, plan_scene, run.job.scene, output, recipe, sharing, among=among, priority=1)
        elif work.layers_only:
            self.cluster.send(work, write_scene_layers, run.job.scene, output, recipe, among=among, priority=2)
        elif work.stage == Stage.ASSEMBLING:
            self.cluster.send(work, assemble_scene, output, among=among, priority=2)
        else:
            suspected = not run.blocks.suspected.isdisjoint(work.blocks)
            self.cluster.send(work, compute_blocks, output, work.blocks, suspected, among=among)

    def _take_back(self, work: Work) -> None:
        """Take back a task that was not run."""
        run = self.runs[work.scene]
        if run.stage == Stage.ENDED:
            return
        if work.stage == Stage.COMPUTING:
            run.blocks.give_back(work.blocks)
            self.watch.repeated += len(work.blocks)
        elif work.stage == Stage.PLANNING:
            run.stage = Stage.WAITING
        else:
            self._held.append(work)

    def _receive(self, work: Work, answer: Answer | Lost) -> None:
        run = self.runs[work.scene]
        if run.stage == Stage.ENDED:
            return
        if isinstance(answer, Lost):
            self._receive_lost(work, run)
            return
        for note in answer.notes:
            self._say(f"note: {note}")
        problem = answer.problem
        self._models_ready = self._models_ready or problem is None or problem.about != "worker"
        if problem is not None:
            self.watch.add(answer.worker, answer.host, answer.seconds, 0, 1)
            self._receive_problem(work, run, answer, problem)
        elif work.stage == Stage.COMPUTING and isinstance(answer.value, Computed):
            computed = answer.value
            done, failed = len(work.blocks) - len(computed.failed), len(computed.failed)
            self.watch.add(answer.worker, answer.host, answer.seconds, done, failed)
            self.watch.repeated += failed
            run.count(work.blocks, computed.failed, computed.findings)
            self._assemble_if_computed(work.scene)
        elif work.stage == Stage.PLANNING and isinstance(answer.value, Planned):
            self._begin(work.scene, answer.value)
        else:
            run.end()
            self._ended.append(Ended(run, work.layers_only, tuple(_sequence(answer.value))))

    def _begin(self, number: int, planned: Planned) -> None:
        run, settings = self.runs[number], self.recipe.settings
        if planned.scene is None:
            discard_leftovers(run.job.output, planned.identity)
            if settings.features or settings.distance:
                run.stage = Stage.ASSEMBLING
                self._submit(Work(Stage.ASSEMBLING, number, layers_only=True))
            else:
                run.end()
                self._ended.append(Ended(run, kept=True))
            return
        try:
            run.begin(planned.scene, settings.restart)
        except Exception as error:
            self._fail(run, error)
            return
        for line in planned.lines:
            print(line, flush=True)
        if run.done:
            print(f"{run.job.output}: {run.done} of {run.total} blocks already done", flush=True)
        for note in planned.notes:
            self._say(note)
        self._assemble_if_computed(number)

    def _assemble_if_computed(self, number: int) -> None:
        run = self.runs[number]
        if run.stage != Stage.COMPUTING or not run.blocks.is_finished:
            return
        aside = run.aside()
        if aside is not None:
            self._fail(run, aside)
            return
        run.stage = Stage.ASSEMBLING
        self._submit(Work(Stage.ASSEMBLING, number))

    def _receive_lost(self, work: Work, run: SceneRun) -> None:
        if work.stage == Stage.COMPUTING:
            run.lose(work.blocks)
            self.watch.repeated += len(work.blocks)
            self._assemble_if_computed(work.scene)
        elif run.may_run_again():
            self._take_back(work)
        else:
            self._fail(run, RuntimeError(f"several workers died on this scene, {PERHAPS}"))

    def _receive_problem(self, work: Work, run: SceneRun, answer: Answer, problem: Problem) -> None:
        if problem.about == "worker":
            self.unfit[answer.worker] = str(problem.error)
            self._say(f"note: left out the worker on {answer.host}: {problem.error}")
            self._take_back(work)
            self._require_fit_workers()
        elif problem.about == "disk" or not run.avoid(answer.worker, problem.error):
            self._fail(run, problem.error)
        else:
            self._take_back(work)

    def _require_fit_workers(self) -> None:
        self._workers = self.cluster.workers()
        self.watch.see(self._workers, self.unfit)
        if not self._workers.keys() - self.unfit.keys():
            raise PackageError(f"{self.cluster.name}: no worker can compute: {next(iter(self.unfit.values()))}")

    def _fail(self, run: SceneRun, error: Exception) -> None:
        number = self.runs.index(run)
        self.cluster.withdraw(lambda work: work.scene == number)
        run.end(error)
        self._ended.append(Ended(run))

    def _say(self, line: str) -> None:
        """Print a line once on standard error."""
        if line not in self._said:
            self._said.add(line)
            print(line, file=sys.stderr, flush=True)


def _sequence(value: object) -> Sequence[object]:
    return value if isinstance(value, tuple) else ()
