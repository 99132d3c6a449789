"""Python files run in separate processes, which can be killed or limited in file size.

Importing PyTorch and Lightning takes seconds, so each process is forked from a server. The server is forked from the
test process after collection, when all modules are imported and no thread of PyTorch runs yet.
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
"""Seconds after which a running process counts as stuck."""


@dataclass(frozen=True)
class Kill:
    """A signal to a process, and its time.

    Attributes:
        after: Seconds after the start of the process, or after a file appears.
        once: The file to wait for; None for the start of the process.
        number: The signal.
    """

    after: float
    once: Path | None = None
    number: int = signal.SIGKILL


@dataclass(frozen=True)
class Job:
    """A Python file to run like `python PATH WORDS...`.

    Attributes:
        path: The file.
        words: Command-line arguments.
        environment: Additional environment variables.
        kill: Signal for the process; None for no signal.
        file_bytes: Largest file size that the process can write, to simulate a full disk.
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
        seconds: Time since the start, or since the file of `Kill` appeared.
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
            warnings.simplefilter("ignore", DeprecationWarning)  # about forking while threads of pytest-xdist run
            self._server = os.fork()
        if self._server == 0:
            os.close(self._ask)
            os.close(self._answers)
            _serve(os.fdopen(asked), os.fdopen(answered, "w"))
        os.close(asked)
        os.close(answered)
        self._requests, self._replies = os.fdopen(self._ask, "w"), os.fdopen(self._answers)

    def run(self, *jobs: Job) -> list[Ended]:
        """Run files in parallel in separate processes, and wait until all have ended."""
        self._requests.write(json.dumps([asdict(job) for job in jobs], default=str) + "\n")
        self._requests.flush()
        return [Ended(**ended) for ended in json.loads(self._replies.readline())]

    def close(self) -> None:
        """End the server."""
        self._requests.close()
        self._replies.close()
        os.waitpid(self._server, 0)


def _serve(requests: TextIO, replies: TextIO) -> NoReturn:
    """Run the jobs of each request line, until the tests close the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the tests handle Ctrl-C and then end this process
    for line in requests:
        started = [_Process(job) for job in json.loads(line)]
        while [process for process in started if not process.ended()]:
            time.sleep(POLL)
        replies.write(json.dumps([process.answer() for process in started]) + "\n")
        replies.flush()
    os._exit(0)


class _Process:
    """A running job in the server."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.kill = Kill(**(job["kill"] or {"after": TIMEOUT}))
        # A pipe, since a limit on file size would truncate the output in a file.
        self.output_pipe, write_end = os.pipe()
        os.set_blocking(self.output_pipe, False)
        self.output, self.status = b"", None
        self.began, self.pid = time.monotonic(), os.fork()
        if self.pid == 0:
            _run(job, write_end)
        os.close(write_end)
        self.since = None if self.kill.once else self.began
        self.killed = False
        self.seconds: float | None = None

    def ended(self) -> bool:
        """Send a due signal and read output; return True if the process has ended."""
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
            os.close(self.output_pipe)
        elif not self.killed and self.since is not None and now - self.since >= self.kill.after:
            self.killed = True
            os.kill(self.pid, self.kill.number)
        return self.seconds is not None

    def answer(self) -> dict[str, object]:
        """Fields of `Ended`."""
        return {"status": self.status, "seconds": self.seconds, "output": self.output.decode()}

    def _read(self) -> None:
        try:
            while part := os.read(self.output_pipe, 65536):
                self.output += part
        except BlockingIOError:
            return


def _run(job: dict[str, Any], write_end: int) -> NoReturn:
    status = 70
    try:
        os.dup2(write_end, 1)
        os.dup2(write_end, 2)
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
