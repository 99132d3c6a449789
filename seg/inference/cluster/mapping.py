"""Run a function for each of many files, in this process or with a task per file on a cluster."""

import sys
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir
from pathlib import Path
from typing import TypeVar

from seg.errors import ConfigError, RasterError
from seg.inference.cluster.answers import Answer, UnfitError, answer
from seg.inference.cluster.connection import Connection, connected, wait_for_workers
from seg.inference.cluster.report import Watch
from seg.inference.cluster.settings import ClusterSettings, cluster_of
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


def map_files(
    function: Callable[[Item], Result], items: Sequence[Item], settings: ClusterSettings
) -> Iterator[Result | Exception]:
    """Yield the result of a function for each item, in order. After an error, the other items are still processed.

    Args:
        function: A function of a module, or a `functools.partial` of one. Results and arguments must be small, since
            they pass through the scheduler: paths and counts, not arrays.
        items: Arguments of the function. Paths must be valid on all machines.
        settings: The cluster; without a cluster, this process calls the function for one item after the other.

    Returns:
        An iterator that gives, for each item, the result or the error that the function raised.

    Raises:
        ConfigError: The cluster cannot be used.
        IncompleteError: The scheduler is lost.
    """
    if settings.cluster is None:
        with progress_bar("files", len(items)) as bar:
            for item in items:
                yield _called(function, item)
                bar.step()
        return
    watch = Watch()
    with connected(cluster_of(settings.cluster)) as cluster, progress_bar("files") as bar:
        watch.see(wait_for_workers(cluster))
        try:
            for done, result in enumerate(_on_cluster(cluster, function, items, watch), start=1):
                bar.move(done, len(items), watch.text("file"))
                yield result
        finally:
            print(watch.table("file"), flush=True)
            if settings.cluster_report is not None:
                watch.write(settings.cluster_report, cluster.name, cluster.threads())


def map_or_raise(function: Callable[[Item], Result], items: Sequence[Item], settings: ClusterSettings) -> list[Result]:
    """Results of a function for all items, as from `map_files`; raise the first error."""
    results: list[Result] = []
    for found in map_files(function, items, settings):
        if isinstance(found, Exception):
            raise found
        results.append(found)
    return results


def run_file(function: Callable[[Item], Result], item: Item, folder: Path) -> Answer:
    """Task of a worker: call the function for one item, in the working folder of the command."""

    def action() -> Result:
        if not folder.is_dir():
            raise UnfitError(f"{folder}: no such folder; wanted the working folder of the command, on all machines")
        with chdir(folder):
            return function(item)

    return answer(action)


def _called(function: Callable[[Item], Result], item: Item) -> Result | Exception:
    try:
        return function(item)
    except Exception as error:
        return error


def _on_cluster(
    cluster: Connection[int], function: Callable[[Item], Result], items: Sequence[Item], watch: Watch
) -> Iterator[Result | Exception]:
    waiting, deaths = deque(range(len(items))), Counter[int]()
    results: dict[int, Result | Exception] = {}
    unfit: set[str] = set()
    folder = Path.cwd()
    for wanted in range(len(items)):
        while wanted not in results:
            workers = cluster.workers()
            watch.see(workers, unfit)
            fit = workers.keys() - unfit
            if workers and not fit:
                raise ConfigError(f"{cluster.name}: no worker sees the working folder {folder} of this command")
            while waiting and len(cluster) < TASKS_AHEAD * len(fit):
                number = waiting.popleft()
                cluster.send(number, run_file, function, items[number], folder, among=fit if unfit else None)
            for number, found in cluster.answers(POLL):
                if isinstance(found, Answer) and found.problem is not None and found.problem.about == "worker":
                    unfit.add(found.worker)
                    print(f"note: left out the worker on {found.host}: {found.problem.error}", file=sys.stderr)
                    waiting.appendleft(number)
                    continue
                if isinstance(found, Answer):
                    results[number] = _result(found, watch)
                    continue
                deaths[number] += 1
                if deaths[number] < MOST_DEATHS:
                    waiting.appendleft(number)
                else:
                    results[number] = RasterError(
                        f"{items[number]}: several workers died on this file, perhaps for lack of memory"
                    )
        yield results.pop(wanted)


def _result(found: Answer, watch: Watch) -> Result | Exception:
    failed = found.problem is not None
    watch.add(found.worker, found.host, found.seconds, int(not failed), int(failed))
    if found.problem is not None:
        return found.problem.error
    result: Result = found.value  # type: ignore[assignment]
    return result
