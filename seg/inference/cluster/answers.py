"""Answers that tasks send back. A task returns its error instead of raising it, so dask prints no traceback."""

import io
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Literal

from seg.errors import SegError, WriteError
from seg.raster.gdal_options import gdal_options

Cause = Literal["worker", "scene", "disk"]

_LOCK = threading.Lock()
"""Lets a process run one task at a time, since each task computes with all threads of the worker."""


@dataclass(frozen=True)
class Problem:
    """The reason why a task failed.

    Attributes:
        about: Cause of the failure: the worker, the scene, or the disk that holds the blocks.
        error: The error, without its traceback.
    """

    about: Cause
    error: Exception


@dataclass(frozen=True)
class Answer:
    """The result of a task.

    Attributes:
        worker: Address of the worker.
        host: Name of the worker's machine.
        seconds: Time that the task took.
        value: What the task returns; None if it failed.
        problem: Reason of the failure; None if the task succeeded.
        notes: Warnings for the user.
    """

    worker: str
    host: str
    seconds: float
    value: object = None
    problem: Problem | None = None
    notes: tuple[str, ...] = ()


class UnfitError(Exception):
    """A worker cannot compute for this run, for example because its machine lacks the folder of the model."""


def answer(action: Callable[[], object], cache: int | None = None) -> Answer:
    """Run a task when no other task runs in this process, and return its result or its error.

    Args:
        action: The task.
        cache: Bytes of decoded tiles that GDAL caches; None leaves the cache as it is.
    """
    from distributed import get_worker

    os.environ.setdefault("CPL_LOG", os.devnull)  # GDAL's own threads would print their errors.
    worker, host = get_worker().address, socket.gethostname()
    with _LOCK, closing(_Notes()) as notes, redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        began = time.monotonic()
        value: object = None
        problem: Problem | None = None
        try:
            with gdal_options(cache):
                value = action()
        except Exception as error:
            about: Cause = "scene"
            if isinstance(error, UnfitError):
                about = "worker"
            elif isinstance(error, WriteError):
                about = "disk"
            problem = Problem(about, _portable_error(error))
        return Answer(worker, host, time.monotonic() - began, value, problem, tuple(notes.texts))


class _Notes(logging.Handler):
    """Warnings of the project's modules while a task runs."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []
        self._logger = logging.getLogger("seg")
        self._logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the text of a warning."""
        self.texts.append(record.getMessage())

    def close(self) -> None:
        """Stop collecting."""
        self._logger.removeHandler(self)
        super().close()


def _portable_error(error: Exception) -> Exception:
    """A copy of an error that another process can unpickle, without its cause and without classes of libraries."""
    if isinstance(error, SegError):
        return type(error)(str(error))
    return RuntimeError(one_line(error))


def one_line(error: Exception) -> str:
    """Message of an error in one line; the message of an unexpected error begins with its class."""
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    kind = "" if isinstance(error, SegError | UnfitError) else f"{type(error).__name__}: "
    return " ".join(f"{kind}{error}".split())
