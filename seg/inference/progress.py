"""How far a scene is, on a terminal."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from seg.inference.planning.plan import Plan, Report
from seg.terminal.progress import progress_bar


@contextmanager
def progress_on(stream: TextIO, name: str) -> Iterator[Report]:
    """What to call with the plan and the number of finished blocks; it draws a bar, if the stream is a terminal.

    The bar shows blocks, megapixels of the scene a second since the run began, and the time left.

    Args:
        stream: Where the bar is drawn.
        name: What is under way.
    """
    measured = Speed()
    with progress_bar(name, stream=stream) as bar:

        def advance(plan: Plan, done: int) -> None:
            speed = measured.text(plan, done)
            bar.move(done, len(plan.blocks), "writing the maps" if done == len(plan.blocks) else speed)

        yield advance


class Speed:
    """Megapixels a second since the first report.

    Args:
        clock: Seconds, as `time.monotonic` gives them.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._first: tuple[float, int] | None = None

    def text(self, plan: Plan, done: int) -> str:
        """The speed as it is shown, for example "0.79 Mpx/s"; empty before a block was finished."""
        self._first = self._first or (self._clock(), done)
        began, before = self._first
        seconds = self._clock() - began
        if done == before or seconds <= 0:
            return ""
        share = (done - before) / len(plan.blocks)
        return f"{share * plan.pixels / seconds / 1e6:.3g} Mpx/s"
