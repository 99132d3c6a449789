"""Python files run in separate processes, which can be killed, limited and measured.

Importing PyTorch and Lightning takes seconds, so each process is forked from a server. The server is forked from the
test process after collection. At that time, all modules are imported, and PyTorch has not started any thread.
"""

import builtins
import io
import json
import mmap
import os
import runpy
import signal
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TextIO

POLL = 0.001
TIMEOUT = 120.0
"""Seconds after which a running process counts as stuck."""

LOOK = 0.05
"""Seconds between two measurements of a process whose memory is limited."""

CHANGES = ("replace", "rename", "unlink", "remove", "mkdir", "rmdir", "fsync", "link", "symlink", "truncate")
"""Functions of `os` that change the file system; each call of these functions is counted,
and each opening of a file for writing."""


@dataclass(frozen=True)
class Kill:
    """A signal to a process, and its time.

    Attributes:
        after: Seconds after the start of the process, or after a file appears.
        once: The file to wait for; None for the start of the process.
        number: The signal.
        call: If n, the process gets SIGKILL in place of its n-th call that changes the file system, counted from 1
            (see `CHANGES`). None: it is not killed at a call.
    """

    after: float = TIMEOUT
    once: Path | None = None
    number: int = signal.SIGKILL
    call: int | None = None


@dataclass(frozen=True)
class Job:
    """A Python file to run like `python PATH WORDS...`.

    Attributes:
        path: The file.
        words: Command-line arguments.
        environment: Additional environment variables.
        kill: Signal to send to the process; None for SIGKILL after TIMEOUT seconds.
        file_bytes: Largest file size that the process can write, to simulate a full disk.
        folder: Working folder; None for the working folder of the tests.
        seconds: Processor time after which the process is killed.
        memory: Resident size in bytes above which the process is killed.
    """

    path: Path
    words: Sequence[str] = ()
    environment: dict[str, str] = field(default_factory=dict)
    kill: Kill | None = None
    file_bytes: int | None = None
    folder: Path | None = None
    seconds: int | None = None
    memory: int | None = None


@dataclass(frozen=True)
class Ended:
    """End of a process.

    Attributes:
        status: Exit status; None if a signal ended the process.
        seconds: Time from the start to the end of the process; if `Kill` waits for a file, time from the appearance of
            this file.
        output: Text on standard output, followed by the text on standard error.
        error: Text on standard error.
        cpu: Processor time in seconds.
        memory: Largest resident size in bytes, including pages shared with the server.
        calls: Number of calls that changed the file system (see `CHANGES`).
    """

    status: int | None
    seconds: float
    output: str
    error: str
    cpu: float
    memory: int
    calls: int


class Processes:
    """Client of the server that starts processes."""

    def __init__(self) -> None:
        asked, self._ask = os.pipe()
        self._answers, answered = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # warns of forking while pytest-xdist has threads
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
        self.kill, self.most = Kill(**(job["kill"] or {})), job["memory"]
        # Pipes, since a limit on file size would truncate the output in a file.
        pipes = [os.pipe(), os.pipe()]
        self.texts = {reader: b"" for reader, _ in pipes}
        self.calls = mmap.mmap(-1, 8)
        self.status: int | None = None
        self.began, self.pid = time.monotonic(), os.fork()
        if self.pid == 0:
            _run(job, self.calls, [writer for _, writer in pipes])
        for reader, writer in pipes:
            os.close(writer)
            os.set_blocking(reader, False)
        self.since = None if self.kill.once else self.began
        self.killed, self.looked = False, self.began
        self.seconds: float | None = None
        self.cpu, self.memory = 0.0, 0

    def ended(self) -> bool:
        """Send a due signal and read output; return True if the process has ended."""
        if self.seconds is not None:
            return True
        self._read()
        ended, code, used = os.wait4(self.pid, os.WNOHANG)
        now = time.monotonic()
        if self.since is None and Path(self.kill.once).exists():
            self.since = now
        if ended:
            self.status = None if os.WIFSIGNALED(code) else os.WEXITSTATUS(code)
            self.seconds = now - (self.since or self.began)
            self.cpu, self.memory = used.ru_utime + used.ru_stime, max(self.memory, used.ru_maxrss * 1024)
            self._read()
            for reader in self.texts:
                os.close(reader)
        elif not self.killed and (self._is_due(now) or self._is_too_large(now)):
            self.killed = True
            os.kill(self.pid, self.kill.number)
        return self.seconds is not None

    def answer(self) -> dict[str, object]:
        """Fields of `Ended`."""
        out, error = (text.decode(errors="replace") for text in self.texts.values())
        number = int.from_bytes(self.calls[:], sys.byteorder)
        used = {"cpu": self.cpu, "memory": self.memory, "calls": number}
        return {"status": self.status, "seconds": self.seconds, "output": out + error, "error": error, **used}

    def _is_due(self, now: float) -> bool:
        return self.since is not None and now - self.since >= self.kill.after

    def _is_too_large(self, now: float) -> bool:
        if self.most is None or now - self.looked < LOOK:
            return False
        self.looked = now
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        self.memory = max(self.memory, pages * mmap.PAGESIZE)
        return self.memory > self.most

    def _read(self) -> None:
        for reader in self.texts:
            try:
                while part := os.read(reader, 65536):
                    self.texts[reader] += part
            except BlockingIOError:
                continue


def _run(job: dict[str, Any], calls: mmap.mmap, write_ends: list[int]) -> NoReturn:
    status = 70
    try:
        os.dup2(write_ends[0], 1)
        os.dup2(write_ends[1], 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", 1, closefd=False)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.environ |= job["environment"]
        _limit(job)
        _count_calls(calls, (job["kill"] or {}).get("call"))
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


def _limit(job: dict[str, Any]) -> None:
    """Set the working folder and the limits of a job."""
    import resource

    if job["folder"] is not None:
        os.chdir(job["folder"])
    for kind, most in ((resource.RLIMIT_FSIZE, job["file_bytes"]), (resource.RLIMIT_CPU, job["seconds"])):
        if most is not None:
            resource.setrlimit(kind, (most, most))


def _count_calls(calls: mmap.mmap, last: int | None) -> None:
    """Count calls that change the file system; send SIGKILL to this process instead of the last call."""

    def counted(function: Callable[..., Any], changes: Callable[..., bool]) -> Callable[..., Any]:
        def call(*words: Any, **options: Any) -> Any:  # noqa: ANN401  # of any function of `os`
            if changes(*words, **options):
                number = int.from_bytes(calls[:], sys.byteorder) + 1
                calls[:] = number.to_bytes(8, sys.byteorder)
                if number == last:
                    os.kill(os.getpid(), signal.SIGKILL)
            return function(*words, **options)

        return call

    for name in CHANGES:
        setattr(os, name, counted(getattr(os, name), lambda *_, **__: True))
    builtins.open = io.open = counted(io.open, lambda _, mode="r", *__, **___: set(mode) & set("wax+") != set())
