"""Python files run in processes of their own, which can be killed, or kept short of disk.

Importing PyTorch and Lightning takes seconds, so each process is forked from a server, and the server from the process
of the tests once it has collected them: everything is imported, and no thread of PyTorch runs yet.
"""

import json
import os
import runpy
import signal
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TextIO

POLL = 0.001
TIMEOUT = 120.0
"""Seconds after which a process that nobody kills is taken for stuck."""


@dataclass(frozen=True)
class Kill:
    """Signal to a process, and its time.

    Attributes:
        after: Seconds after the start of a process, or after a file appeared.
        once: That file.
        number: The signal.
    """

    after: float
    once: Path | None = None
    number: int = signal.SIGKILL


@dataclass(frozen=True)
class Job:
    """A Python file to run as `python PATH WORDS...` does.

    Attributes:
        path: The file.
        words: The words after its name on the command line.
        environment: Variables beside those of the tests.
        kill: A signal that it gets.
        file_bytes: Length of the longest file that the process can write, in place of a full disk.
    """

    path: Path
    words: Sequence[str] = ()
    environment: dict[str, str] = field(default_factory=dict)
    kill: Kill | None = None
    file_bytes: int | None = None


@dataclass(frozen=True)
class Ended:
    """End of a process.

    Attributes:
        status: Exit status; None for a process that a signal ended.
        seconds: Time since its start, or since the file of `Kill` appeared.
        output: Text on standard output and standard error.
    """

    status: int | None
    seconds: float
    output: str


class Processes:
    """Client of the server that starts processes."""

    def __init__(self) -> None:
        asked, self._ask = os.pipe()
        self._answers, answered = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside the threads of pytest-xdist
            self._server = os.fork()
        if self._server == 0:
            os.close(self._ask)
            os.close(self._answers)
            _serve(os.fdopen(asked), os.fdopen(answered, "w"))
        os.close(asked)
        os.close(answered)
        self._requests, self._replies = os.fdopen(self._ask, "w"), os.fdopen(self._answers)

    def run(self, *jobs: Job) -> list[Ended]:
        """Run files at the same time, each in a process of its own, until all have ended."""
        self._requests.write(json.dumps([asdict(job) for job in jobs], default=str) + "\n")
        self._requests.flush()
        return [Ended(**ended) for ended in json.loads(self._replies.readline())]

    def close(self) -> None:
        """End the server."""
        self._requests.close()
        self._replies.close()
        os.waitpid(self._server, 0)


def _serve(requests: TextIO, replies: TextIO) -> NoReturn:
    """Run the jobs of each line of requests, until the tests close the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests, which then end this process
    for line in requests:
        started = [_Process(job) for job in json.loads(line)]
        while [process for process in started if not process.ended()]:
            time.sleep(POLL)
        replies.write(json.dumps([process.answer() for process in started]) + "\n")
        replies.flush()
    os._exit(0)


class _Process:
    """A running job, on the side of the server."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.kill = Kill(**(job["kill"] or {"after": TIMEOUT}))
        # Through a pipe, since limits of a file's length would cut off what a process says of them.
        self.said, says = os.pipe()
        os.set_blocking(self.said, False)
        self.output, self.status = b"", None
        self.began, self.pid = time.monotonic(), os.fork()
        if self.pid == 0:
            _run(job, says)
        os.close(says)
        self.since = None if self.kill.once else self.began
        self.killed = False
        self.seconds: float | None = None

    def ended(self) -> bool:
        """Look after the process; true once it has ended."""
        if self.seconds is not None:
            return True
        self._read()
        ended, code = os.waitpid(self.pid, os.WNOHANG)
        now = time.monotonic()
        if self.since is None and Path(self.kill.once).exists():
            self.since = now
        if ended:
            self.status = None if os.WIFSIGNALED(code) else os.WEXITSTATUS(code)
            self.seconds = now - (self.since or self.began)
            self._read()
            os.close(self.said)
        elif not self.killed and self.since is not None and now - self.since >= self.kill.after:
            self.killed = True
            os.kill(self.pid, self.kill.number)
        return self.seconds is not None

    def answer(self) -> dict[str, object]:
        """The fields of `Ended`."""
        return {"status": self.status, "seconds": self.seconds, "output": self.output.decode()}

    def _read(self) -> None:
        try:
            while part := os.read(self.said, 65536):
                self.output += part
        except BlockingIOError:
            return


def _run(job: dict[str, Any], says: int) -> NoReturn:
    status = 70
    try:
        os.dup2(says, 1)
        os.dup2(says, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", 1, closefd=False)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.environ |= job["environment"]
        if job["file_bytes"] is not None:
            import resource

            resource.setrlimit(resource.RLIMIT_FSIZE, (job["file_bytes"], job["file_bytes"]))
        sys.argv = [job["path"], *job["words"]]
        runpy.run_path(job["path"], run_name="__main__")
        status = 0
    except SystemExit as stopped:
        status = stopped.code if isinstance(stopped.code, int) else 0 if stopped.code is None else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        status = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
