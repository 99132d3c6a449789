"""Runs of `scripts/predict.py` that can be killed, or kept short of disk and memory.

Each run is a process of its own, forked from one that has imported everything: what takes time is the run alone.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

from support.project import environment

POLL = 0.001


@dataclass(frozen=True)
class Limits:
    """What a run must do with.

    Attributes:
        file_bytes: Length of the longest file it can write, in place of a full disk.
        further_memory: Bytes of address space beyond what the imported libraries take.
    """

    file_bytes: int | None = None
    further_memory: int | None = None


UNLIMITED = Limits()


@dataclass(frozen=True)
class Kill:
    """When a run is killed.

    Attributes:
        after: Seconds after its start, or after a file appeared.
        once: That file.
    """

    after: float
    once: Path | None = None


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    Attributes:
        status: Its exit status; None where it was killed.
        seconds: How long it took since its start, or since the file of `Kill` appeared.
        output: What it printed, on standard error too.
    """

    status: int | None
    seconds: float
    output: str


class ForkedRuns:
    """Starts runs one after the other.

    Args:
        log: A file for what the runs print.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._server = subprocess.Popen(
            [sys.executable, "-m", "support.forked_runs", log],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )

    def run(self, words: list[str], kill: Kill | None = None, limits: Limits = UNLIMITED) -> Ended:
        """How one run of predict.py with these words ended."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        once = str(kill.once) if kill and kill.once else None
        request = {"words": words, "after": kill.after if kill else None, "once": once, "limits": asdict(limits)}
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        status, seconds = json.loads(self._server.stdout.readline())
        return Ended(status, seconds, self._log.read_text())

    def close(self) -> None:
        """End the process that starts them."""
        self._server.communicate()


@contextmanager
def forked_runs(folder: Path) -> Iterator[ForkedRuns]:
    """Runs whose log lies in a folder."""
    runs = ForkedRuns(folder / "runs.log")
    try:
        yield runs
    finally:
        runs.close()


def _serve(log: Path) -> None:
    import onnxruntime  # noqa: F401

    import seg.inference.command  # noqa: F401
    from seg.entry.predict import predict

    for line in sys.stdin:
        request = json.loads(line)
        # Through a pipe, since limits of a file's length would cut off what a run says of them.
        said, says = os.pipe()
        began, pid = time.monotonic(), os.fork()
        if pid == 0:
            _run(predict, request["words"], Limits(**request["limits"]), says)
        os.close(says)
        ended = _watch(pid, began, request["after"], request["once"])
        with os.fdopen(said, "rb") as output:
            log.write_bytes(output.read())
        print(json.dumps(ended), flush=True)


def _run(predict: object, words: list[str], limits: Limits, says: int) -> NoReturn:
    from seg.terminal.command_line import run_command

    os.dup2(says, 1)
    os.dup2(says, 2)
    if limits.file_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limits.file_bytes, limits.file_bytes))
    if limits.further_memory is not None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        allowed = pages * resource.getpagesize() + limits.further_memory
        resource.setrlimit(resource.RLIMIT_AS, (allowed, allowed))
    status = 70
    try:
        status = run_command(predict, words)  # type: ignore[arg-type]
        sys.stdout.flush()
    finally:
        os._exit(status)


def _watch(pid: int, began: float, after: float | None, once: str | None) -> tuple[int | None, float]:
    """Exit status and seconds of a run, which is killed when its time has come."""
    since = None if once else began
    while True:
        ended, code = os.waitpid(pid, os.WNOHANG)
        now = time.monotonic()
        if since is None and once and Path(once).exists():
            since = now
        if ended:
            return (None if os.WIFSIGNALED(code) else os.WEXITSTATUS(code)), now - (since or began)
        if after is not None and since is not None and now - since >= after:
            os.kill(pid, signal.SIGKILL)
            after = None
        time.sleep(POLL)


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
