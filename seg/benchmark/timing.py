"""Median times of several actions, measured in turns."""

import math
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)
Action = Callable[[], None]

MOST_CALLS = 1000
"""Calls that one timing repeats at most."""


def nothing() -> None:
    """Do nothing, where there is nothing to wait for, to prepare or to report."""


@dataclass(frozen=True)
class Candidate:
    """Something to be timed.

    Attributes:
        action: What is timed.
        before: Comes untimed ahead of each timing.
        after: Comes untimed behind each timing.
    """

    action: Action
    before: Action = nothing
    after: Action = nothing


@dataclass(frozen=True)
class Stopwatch:
    """How calls are timed.

    Attributes:
        synchronize: Waits until a device has done what it was told: a GPU returns from a call before it has computed.
        clock: Seconds since any moment.
        shortest: Seconds that a timing lasts at least, by as many calls as that takes; 0 for a single call.
    """

    synchronize: Action = nothing
    clock: Callable[[], float] = time.perf_counter
    shortest: float = 0.0

    def seconds(self, candidate: Candidate, calls: int = 1) -> float:
        """Seconds that one call takes, the mean of several."""
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
        """Call it unrecorded, as a first call sets up much; returns how many calls a timing should have."""
        self.seconds(candidate)
        if not self.shortest:
            return 1
        calls = math.ceil(self.shortest / max(self.seconds(candidate), 1e-9))
        return min(max(calls, 1), MOST_CALLS)


def interleaved_medians(
    candidates: Mapping[Key, Candidate], repeats: int, stopwatch: Stopwatch, report: Action = nothing
) -> dict[Key, float]:
    """Median seconds of a call of each candidate.

    Each round times every candidate once, so that whatever else the machine does meanwhile slows all of them alike.

    Args:
        candidates: What to time, by any key.
        repeats: Rounds after the warm-up, at least 1.
        stopwatch: How to time it.
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
