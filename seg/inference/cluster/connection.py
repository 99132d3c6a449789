"""Connection to a dask cluster: start or find it, send tasks, and receive their answers."""

import gc
import logging
import os
import queue
import sys
import time
import uuid
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from seg.errors import ConfigError, IncompleteError
from seg.inference.cluster.answers import Answer
from seg.inference.cluster.local_workers import METHOD, start_local_workers
from seg.inference.cluster.settings import SYSTEMS, Cluster, JobQueue, LocalWorkers
from seg.inference.compute.onnx_network import thread_count

if TYPE_CHECKING:
    from distributed import Client, Future

CONNECT_SECONDS = 20.0
"""Time in seconds to wait for a scheduler."""

POLL = 0.5
"""Time in seconds between two checks for a first worker."""

LOGGERS = ("distributed", "tornado", "asyncio", "bokeh")
"""Loggers that print lines about lost workers and lost connections, some with a traceback."""

OPTIONS = {
    "distributed.comm.timeouts.connect": "10s",
    "distributed.scheduler.dashboard.status.task-stream-length": 200,
    # The following features cost time in every worker, and nobody sees their results.
    "distributed.worker.profile.enabled": False,
    "distributed.admin.system-monitor.gil.enabled": False,
    "distributed.diagnostics.nvml": False,
    "distributed.diagnostics.computations.max-history": 1,
    "distributed.worker.multiprocessing-method": METHOD,
}
"""Options of dask for processes that this program starts."""

Work = TypeVar("Work")


@dataclass(frozen=True)
class WorkerState:
    """A worker that is connected to the scheduler.

    Attributes:
        host: Name or address of its machine.
        threads: Number of threads that the worker was started with.
    """

    host: str
    threads: int


@dataclass(frozen=True)
class Lost:
    """A task that dask gave up, because several workers died while they held it."""


class Connection(Generic[Work]):
    """A client of a scheduler. Each task is sent with a label; the answer comes back with the same label.

    Args:
        client: The client.
        name: Name of the cluster in messages.
        threads: Number of computing threads of a worker; None for the number that workers were started with.
    """

    def __init__(self, client: "Client", name: str, threads: int | None) -> None:
        self.name = name
        self._client, self._threads = client, threads
        self._ended: queue.SimpleQueue[Future] = queue.SimpleQueue()
        self._sent: dict[str, tuple[Work, Future]] = {}

    @property
    def dashboard(self) -> str | None:
        """Address of dask's dashboard; None if the scheduler has none."""
        services = self._client.scheduler_info(n_workers=0).get("services", {})
        return str(self._client.dashboard_link) if "dashboard" in services else None

    def __len__(self) -> int:
        """Number of tasks without an answer."""
        return len(self._sent)

    @property
    def pending(self) -> list[Work]:
        """Labels of all tasks without an answer."""
        return [work for work, _ in self._sent.values()]

    def workers(self) -> dict[str, WorkerState]:
        """The workers that are connected now, by address.

        Raises:
            IncompleteError: The scheduler is lost.
        """
        # A client that looks for its lost scheduler would wait, and then return an old list of workers.
        if self._client.status != "running":
            raise self._lost_scheduler()
        try:
            found = self._client.scheduler_info(n_workers=-1)["workers"]
        except Exception as error:
            raise self._lost_scheduler() from error
        return {address: WorkerState(str(each["host"]), int(each["nthreads"])) for address, each in found.items()}

    def scheduler_memory(self) -> int:
        """Resident memory of the scheduler's process in bytes."""
        return int(self._client.run_on_scheduler(resident_memory))

    def threads(self) -> int:
        """Number of computing threads of each worker; by default, the fewest threads that a worker was started with."""
        return self._threads or min((worker.threads for worker in self.workers().values()), default=1)

    def send(
        self,
        work: Work,
        task: Callable[..., Answer],
        *arguments: object,
        among: Collection[str] | None = None,
        priority: int = 0,
    ) -> None:
        """Send a task to the scheduler.

        Args:
            work: Label of the task.
            task: A function of this package.
            arguments: Its arguments.
            among: Addresses of the workers that may run the task; None for all workers.
            priority: Tasks with a larger number run first.
        """
        key = f"{task.__name__}-{uuid.uuid4().hex}"
        future = self._client.submit(
            task, *arguments, key=key, workers=None if among is None else sorted(among), priority=priority
        )
        self._sent[key] = work, future
        future.add_done_callback(self._ended.put)

    def withdraw(self, unwanted: Callable[[Work], bool]) -> list[Work]:
        """Cancel all tasks whose labels are unwanted, and return these labels."""
        keys = [key for key, (work, _) in self._sent.items() if unwanted(work)]
        taken = [self._sent.pop(key) for key in keys]
        if taken:
            self._client.cancel([future for _, future in taken])
        return [work for work, _ in taken]

    def answers(self, seconds: float) -> Iterator[tuple[Work, Answer | Lost]]:
        """Yield labels and answers of tasks that have ended.

        Args:
            seconds: Longest time to wait for the first answer.

        Raises:
            IncompleteError: The scheduler is lost.
            ConfigError: Workers cannot run tasks of this program.
        """
        try:
            future = self._ended.get(timeout=seconds)
            while True:
                work, _ = self._sent.pop(future.key, (None, None))
                if work is not None:
                    yield work, self._result(future)
                future = self._ended.get_nowait()
        except queue.Empty:
            return

    def _result(self, future: "Future") -> Answer | Lost:
        from distributed import CancelledError, KilledWorker

        try:
            answer: Answer = future.result()
            return answer
        except KilledWorker:
            return Lost()
        except CancelledError as error:
            raise self._lost_scheduler() from error
        except Exception as error:
            if self._client.status != "running":
                raise self._lost_scheduler() from error
            raise ConfigError(
                f"{self.name}: a worker cannot run this program ({' '.join(str(error).split())[:200]}); install the "
                "same version of cropland-seg for all workers"
            ) from error

    def _lost_scheduler(self) -> IncompleteError:
        return IncompleteError(
            f"{self.name}: the scheduler is lost; finished blocks are kept: start the scheduler and its workers again, "
            "and repeat the command to continue"
        )


@contextmanager
def connected(cluster: Cluster, threads: int = 0) -> Iterator[Connection[Any]]:
    """Start or find a cluster, and close it afterwards if it was started here.

    Args:
        cluster: The cluster.
        threads: Number of computing threads of a worker. With 0, local workers share the threads of this machine
            equally, and other workers use the number of threads that they were started with.

    Raises:
        ConfigError: A library is not installed, the scheduler does not answer, or dask-jobqueue refuses the keywords.
    """
    _require_installed(cluster)
    with _quiet(), ExitStack() as opened:
        import dask

        # The user's files and environment variables for dask must not change this program.
        dask.config.refresh(paths=[], env={})
        opened.enter_context(dask.config.set(OPTIONS))
        if isinstance(cluster, LocalWorkers):
            source, name = start_local_workers(cluster.count, opened), f"local:{cluster.count}"
            threads = threads or max(thread_count(0) // cluster.count, 1)
        elif isinstance(cluster, JobQueue):
            source, name = _job_queue(cluster, opened), str(cluster.path)
        else:
            source = name = cluster.address
        client = _client(source, name)
        opened.callback(_close, client)
        _prepare(client, isinstance(cluster, LocalWorkers))
        yield Connection(client, name, threads or None)


def resident_memory() -> int:
    """Resident memory of this process in bytes; on systems without /proc, its largest value so far."""
    gc.collect()
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def wait_for_workers(cluster: Connection[Any]) -> dict[str, WorkerState]:
    """Print the address of the dashboard, wait for the first worker, and return all connected workers.

    Raises:
        IncompleteError: The scheduler is lost.
    """
    dashboard = cluster.dashboard
    if dashboard is not None:
        print(f"{cluster.name}: dashboard at {dashboard}", flush=True)
    workers = cluster.workers()
    if not workers:
        print(f"{cluster.name}: no worker yet; waiting for workers", file=sys.stderr, flush=True)
    while not workers:
        time.sleep(POLL)
        workers = cluster.workers()
    return workers


def _client(source: object, name: str) -> "Client":
    from distributed import Client

    try:
        return Client(source, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{name}: no scheduler answers within {CONNECT_SECONDS:.0f} s; start one with 'dask scheduler', or correct "
            "the address"
        ) from error


def _job_queue(cluster: JobQueue, opened: ExitStack) -> object:
    import dask_jobqueue

    try:
        source = getattr(dask_jobqueue, SYSTEMS[cluster.system])(**cluster.keywords)
        opened.callback(source.close)
        source.scale(n=cluster.workers)
    except Exception as error:
        raise ConfigError(
            f"{cluster.path}: dask-jobqueue refuses its keywords ({' '.join(str(error).split())[:200]}); correct them"
        ) from error
    return source


def _prepare(client: "Client", on_this_machine: bool) -> None:
    from seg.inference.cluster.plugin import OpenedFiles

    client.register_plugin(OpenedFiles(on_this_machine))


def _close(client: "Client") -> None:
    with suppress(Exception):  # The scheduler may be gone.
        if client.status == "running":
            client.unregister_worker_plugin("cropland-seg")
        client.close(timeout=2)


def _require_installed(cluster: Cluster) -> None:
    from importlib.util import find_spec

    if find_spec("distributed") is None:
        raise ConfigError("--cluster needs dask, which is not installed; pip install 'cropland-seg[cluster]'")
    if isinstance(cluster, JobQueue) and find_spec("dask_jobqueue") is None:
        raise ConfigError(
            f"{cluster.path}: cluster is {cluster.system}, which needs dask-jobqueue; pip install dask-jobqueue"
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep dask from printing lines about lost workers and closed connections; this program reports them itself."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="(bokeh|dask|distributed|tornado)")
        import distributed  # noqa: F401  # creates its loggers and sets their levels

        known = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] in LOGGERS]
        loggers = [logging.getLogger(name) for name in {*LOGGERS, *known}]
        levels = [logger.level for logger in loggers]
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
