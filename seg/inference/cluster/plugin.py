"""Plugin that prepares a dask worker before the first task of a command, and cleans up after the last task.

Only `connection` imports this module, at the time when dask is needed.
"""

import signal
import threading

from distributed import Worker, WorkerPlugin

from seg.inference.cluster.opened import close_all


class OpenedFiles(WorkerPlugin):  # type: ignore[misc]
    """Close the models and scenes of a worker when the command ends, or when the worker ends.

    Args:
        on_this_machine: True for workers that the command has started. Ctrl-C in a terminal reaches them too; they
            ignore it, since the command stops them.
    """

    name = "cropland-seg"

    def __init__(self, on_this_machine: bool) -> None:
        self.on_this_machine = on_this_machine

    def setup(self, worker: Worker) -> None:
        """Ignore Ctrl-C in a worker that the command has started; dask calls this when the worker joins."""
        if self.on_this_machine and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.SIG_IGN)

    def teardown(self, worker: Worker) -> None:
        """Close all models and scenes; dask calls this when the command or the worker ends."""
        close_all()
