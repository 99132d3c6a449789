"""Worker processes on this machine, forked from a server process that has imported the libraries.

Imports of dask, GDAL and a library for networks take seconds. The server imports them once for all workers, while the
command reads its inputs. Systems without such servers start each worker anew.
"""

import logging
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from multiprocessing import forkserver
from tempfile import TemporaryDirectory

from seg.inference.cluster.settings import LocalWorkers, cluster_of

METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
"""Start method of worker processes."""

IMPORTED = ("__main__", "distributed", "seg.inference.cluster.plugin", "seg.inference.cluster.tasks")
"""Modules that the server imports; `__main__` is the script of the command, which each process would import."""

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Variables that limit the threads of numerical libraries. A task tells its library the number of threads itself."""


def begin_local_workers(cluster: str | None, libraries: Sequence[str] = ()) -> None:
    """Start the server of local workers in the background, if a cluster consists of local workers.

    Args:
        cluster: Value of --cluster; None for no cluster.
        libraries: Further modules that the server imports, if they are installed.
    """
    if cluster is None or not isinstance(cluster_of(cluster), LocalWorkers):
        return
    if find_spec("distributed") is not None:  # Otherwise `connected` explains how to install dask.
        _start_server(libraries)


def _start_server(libraries: Sequence[str] = ()) -> None:
    """Start the server unless it runs already."""
    if METHOD == "forkserver":
        multiprocessing.get_context(METHOD).set_forkserver_preload([*IMPORTED, *libraries])
        with _single_threaded():
            forkserver.ensure_running()


def start_local_workers(count: int, opened: ExitStack) -> object:
    """Start a scheduler in this process, and workers; return their `LocalCluster`.

    Args:
        count: Number of workers.
        opened: Closes the cluster, and removes the folder of its files.
    """
    from distributed import LocalCluster, utils

    _start_server()
    # dask would import pandas into this process, to list it for a server that does not run yet.
    utils._forkserver_preload_set = True
    folder = opened.enter_context(TemporaryDirectory(prefix="cropland-seg-", ignore_cleanup_errors=True))
    # Without a memory limit, dask neither pauses nor restarts workers: blocks are sized for --memory instead.
    source = LocalCluster(
        n_workers=count,
        threads_per_worker=1,
        memory_limit=0,
        local_directory=folder,
        dashboard_address="127.0.0.1:0",
        silence_logs=logging.CRITICAL,
    )
    opened.callback(source.close)
    return source


@contextmanager
def _single_threaded() -> Iterator[None]:
    """Limit the threads of libraries in processes that are started within a `with` statement."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
