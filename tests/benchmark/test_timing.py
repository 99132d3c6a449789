from collections.abc import Iterator

import pytest

from seg.benchmark.timing import (
    MOST_CALLS,
    Action,
    Candidate,
    Stopwatch,
    interleaved_medians,
)


class FakeClock:
    """A clock that advances only on request."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def lasting(self, *seconds: float) -> Action:
        """An action whose successive calls take these times."""
        times: Iterator[float] = iter(seconds)

        def action() -> None:
            self.now += next(times)

        return action


def noting(calls: list[str], name: str) -> Action:
    return lambda: calls.append(name)


def test_each_round_times_every_candidate_once_in_turn() -> None:
    calls: list[str] = []
    interleaved_medians({name: Candidate(noting(calls, name)) for name in "abc"}, 3, Stopwatch())
    assert calls == list("abc") * 4  # the first round warms up


def test_the_median_leaves_the_warm_up_and_an_outlier_out() -> None:
    clock = FakeClock()
    candidates = {"steady": Candidate(clock.lasting(50, 2, 2, 2)), "noisy": Candidate(clock.lasting(50, 3, 90, 1))}
    assert interleaved_medians(candidates, 3, Stopwatch(clock=clock)) == {"steady": 2, "noisy": 3}


def test_calls_before_and_after_are_not_timed() -> None:
    clock = FakeClock()
    candidate = Candidate(clock.lasting(1, 1), before=clock.lasting(10, 10), after=clock.lasting(20, 20))
    assert interleaved_medians({"a": candidate}, 1, Stopwatch(clock=clock)) == {"a": 1}
    assert clock.now == 62


def test_timing_waits_for_the_device_before_and_after_the_calls() -> None:
    calls: list[str] = []
    Stopwatch(synchronize=noting(calls, "wait")).seconds(Candidate(noting(calls, "compute")), calls=2)
    assert calls == ["wait", "compute", "compute", "wait"]


@pytest.mark.parametrize(("once", "calls"), [(0.3, 4), (1.0, 1), (5.0, 1), (1e-6, MOST_CALLS)])
def test_calls_are_repeated_until_the_shortest_duration(once: float, calls: int) -> None:
    clock = FakeClock()
    # The first call is slower because of the setup, so it does not count.
    stopwatch = Stopwatch(clock=clock, shortest=1.0)
    assert stopwatch.warm_up(Candidate(clock.lasting(9.0, once))) == calls


def test_the_time_of_several_calls_is_divided_by_their_number() -> None:
    clock = FakeClock()
    stopwatch = Stopwatch(clock=clock, shortest=1.0)
    medians = interleaved_medians({"a": Candidate(clock.lasting(9, 0.5, 0.5, 0.25))}, 1, stopwatch)
    assert medians == {"a": 0.375}


def test_every_warm_up_and_every_timing_is_reported() -> None:
    steps: list[str] = []
    candidates = {name: Candidate(lambda: None) for name in "ab"}
    interleaved_medians(candidates, 3, Stopwatch(), noting(steps, "step"))
    assert len(steps) == 2 * (3 + 1)
