"""Run a function for each of many files, in this process or with a task per file on a cluster."""

import sys
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, chdir
from pathlib import Path
from typing import Self, TypeVar

from seg.errors import ConfigError, RasterError
from seg.inference.cluster.answers import Answer, UnfitError, answer
from seg.inference.cluster.connection import Connection, Lost, connected, wait_for_workers
from seg.inference.cluster.local_workers import begin_local_workers
from seg.inference.cluster.report import Watch
from seg.inference.cluster.settings import ClusterSettings, cluster_of
from seg.raster.gdal_options import CACHE
from seg.terminal.progress import progress_bar

MOST_DEATHS = 5
"""Number of times that dask may give up the task of a file before the file fails. dask gives up a task after four
workers died while they held it."""

TASKS_AHEAD = 2
"""Number of tasks per worker that are sent: one runs, and one waits in the worker."""

POLL = 1.0
"""Longest time in seconds to wait for the next answer."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class FileMapper:
    """Calls functions for many files, with a task per file on a cluster.

    The cluster is started or found when it is first needed. It is kept until the end of the `with` statement, which
    prints a table of the workers and writes the report.

    Args:
        settings: The cluster; `settings.cluster` must be set.
        unit: Name of one task in texts, such as "file".
    """

    def __init__(self, settings: ClusterSettings, unit: str = "file") -> None:
        self.settings, self.unit = settings, unit
        self._watch, self._opened = Watch(), ExitStack()
        self._cluster: Connection[int] | None = None

    def __enter__(self) -> Self:
        begin_local_workers(self.settings.cluster)
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def __call__(self, function: Callable[[Item], Result], items: Sequence[Item], /) -> list[Result]:
        """Results of a function for all items, as from `results`; raise the first error."""
        found: list[Result] = []
        for result in self.results(function, items):
            if isinstance(result, Exception):
                raise result
            found.append(result)
        return found

    def results(self, function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result | Exception]:
        """Yield the result of a function for each item, in order. After an error, the other items are still processed.

        Args:
            function: A function of a module, or a `functools.partial` of one. Results and arguments must be small,
                since they pass through the scheduler: paths and counts, not arrays of pixels.
            items: Arguments of the function. Paths must be valid on all machines.

        Returns:
            An iterator that gives, for each item, the result or the error that the function raised.

        Raises:
            ConfigError: The cluster cannot be used.
            IncompleteError: The scheduler is lost.
        """
        if not items:
            return
        cluster = self._cluster or self._connect()
        with progress_bar(f"{self.unit}s", len(items)) as bar:
            for done, result in enumerate(_Run(cluster, self._watch, self.unit).results(function, items), start=1):
                bar.move(done, len(items), self._watch.text(self.unit))
                yield result

    def _connect(self) -> Connection[int]:
        cluster: Connection[int] = self._opened.enter_context(connected(cluster_of(self.settings.cluster or "")))
        self._watch.see(wait_for_workers(cluster))
        self._opened.callback(self._report, cluster)
        self._cluster = cluster
        return cluster

    def _report(self, cluster: Connection[int]) -> None:
        print(self._watch.table(self.unit), flush=True)
        if self.settings.cluster_report is not None:
            self._watch.write(self.settings.cluster_report, cluster.name, cluster.threads())


def map_files(
    function: Callable[[Item], Result], items: Sequence[Item], settings: ClusterSettings
) -> Iterator[Result | Exception]:
    """Yield the result or the error of a function for each item, in order; see `FileMapper.results`.

    Args:
        function: The function.
        items: Its arguments.
        settings: The cluster; without a cluster, this process calls the function for one item after the other.
    """
    if settings.cluster is not None:
        with FileMapper(settings) as mapper:
            yield from mapper.results(function, items)
        return
    with progress_bar("files", len(items)) as bar:
        for item in items:
            yield _called(function, item)
            bar.step()


def run_file(function: Callable[[Item], Result], item: Item, folder: Path) -> Answer:
    """Task of a worker: call the function for one item, in the working folder of the command."""

    def action() -> Result:
        if not folder.is_dir():
            raise UnfitError(f"{folder}: no such folder; wanted the working folder of the command, on all machines")
        with chdir(folder):
            return function(item)

    return answer(action, CACHE)


def _called(function: Callable[[Item], Result], item: Item) -> Result | Exception:
    try:
        return function(item)
    except Exception as error:
        return error


class _Run:
    """A function that is called for each item on a cluster."""

    def __init__(self, cluster: Connection[int], watch: Watch, unit: str) -> None:
        self.cluster, self.watch, self.unit = cluster, watch, unit
        self.unfit: set[str] = set()
        self.folder = Path.cwd()

    def results(self, function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result | Exception]:
        waiting, deaths = deque(range(len(items))), Counter[int]()
        found: dict[int, Result | Exception] = {}
        for wanted in range(len(items)):
            while wanted not in found:
                fit = self._fit()
                while waiting and len(self.cluster) < TASKS_AHEAD * len(fit):
                    number = waiting.popleft()
                    among = fit if self.unfit else None
                    self.cluster.send(number, run_file, function, items[number], self.folder, among=among)
                for number, ended in self.cluster.answers(POLL):
                    if isinstance(ended, Lost):
                        deaths[number] += 1
                    elif self._fits(ended):
                        found[number] = _result(ended, self.watch)
                        continue
                    if deaths[number] < MOST_DEATHS:
                        waiting.appendleft(number)
                    else:
                        found[number] = RasterError(
                            f"{items[number]}: several workers died on this {self.unit}, perhaps for lack of memory"
                        )
            yield found.pop(wanted)

    def _fit(self) -> Collection[str]:
        """Addresses of the workers that see the working folder."""
        workers = self.cluster.workers()
        self.watch.see(workers, self.unfit)
        fit = workers.keys() - self.unfit
        if workers and not fit:
            raise ConfigError(f"{self.cluster.name}: no worker sees the working folder {self.folder} of this command")
        return fit

    def _fits(self, answer: Answer) -> bool:
        """True unless the worker does not see the working folder; then it is left out."""
        if answer.problem is None or answer.problem.about != "worker":
            return True
        self.unfit.add(answer.worker)
        print(f"note: left out the worker on {answer.host}: {answer.problem.error}", file=sys.stderr)
        return False


def _result(answer: Answer, watch: Watch) -> Result | Exception:
    failed = answer.problem is not None
    watch.add(answer.worker, answer.host, answer.seconds, int(not failed), int(failed))
    if answer.problem is not None:
        return answer.problem.error
    result: Result = answer.value  # type: ignore[assignment]
    return result
