"""Interleaved timings of several actions, and their medians; new processes, and their peak memory."""

import math
import time
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import ParamSpec, TypeVar

Key = TypeVar("Key", bound=Hashable)
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Action = Callable[[], None]

MOST_CALLS = 1000
"""Largest number of calls in one timing."""


def nothing() -> None:
    """Do nothing; the default action for waiting, preparing and reporting."""


@dataclass(frozen=True)
class Candidate:
    """An action to time.

    Attributes:
        action: The timed call.
        before: Untimed call before each timing.
        after: Untimed call after each timing.
    """

    action: Action
    before: Action = nothing
    after: Action = nothing


@dataclass(frozen=True)
class Stopwatch:
    """Timer for calls.

    Attributes:
        synchronize: Function that waits until a device is idle, since a GPU call returns before the GPU has computed.
        clock: Clock in seconds.
        shortest: Smallest duration of a timing in seconds; calls are repeated until this time has passed. 0 for a
            single call.
    """

    synchronize: Action = nothing
    clock: Callable[[], float] = time.perf_counter
    shortest: float = 0.0

    def seconds(self, candidate: Candidate, calls: int = 1) -> float:
        """Mean seconds of one call over several calls."""
        candidate.before()
        self.synchronize()
        start = self.clock()
        for _ in range(calls):
            candidate.action()
        self.synchronize()
        elapsed = self.clock() - start
        candidate.after()
        return elapsed / calls

    def warm_up(self, candidate: Candidate) -> int:
        """Run the candidate untimed, since first calls are slow; return the number of calls for one timing."""
        self.seconds(candidate)
        if not self.shortest:
            return 1
        calls = math.ceil(self.shortest / max(self.seconds(candidate), 1e-9))
        return min(max(calls, 1), MOST_CALLS)


def interleaved_medians(
    candidates: Mapping[Key, Candidate], repeats: int, stopwatch: Stopwatch, report: Action = nothing
) -> dict[Key, float]:
    """Median time of a call of each candidate, in seconds.

    Each round times every candidate once, so that other load on the machine slows all candidates equally.

    Args:
        candidates: Candidates by key.
        repeats: Rounds after the warm-up, at least 1.
        stopwatch: The timer.
        report: Called after each warm-up and each timing.
    """
    calls: dict[Key, int] = {}
    times: dict[Key, list[float]] = {key: [] for key in candidates}
    for key, candidate in candidates.items():
        calls[key] = stopwatch.warm_up(candidate)
        report()
    for _ in range(repeats):
        for key, candidate in candidates.items():
            times[key].append(stopwatch.seconds(candidate, calls[key]))
            report()
    return {key: median(values) for key, values in times.items()}


def in_new_process(
    function: Callable[Arguments, Result], *arguments: Arguments.args, **keywords: Arguments.kwargs
) -> Result:
    """Call a function that is defined at module level in a new process, and return its result."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(function, *arguments, **keywords).result()


def peak_memory_mib() -> float:
    """Peak resident memory of this process in MiB (Linux only).

    `resource.getrusage` would also count the parent process, from before exec.
    """
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    fields = dict(line.split(":", 1) for line in status.splitlines())
    return int(fields["VmHWM"].split()[0]) / 1024
