from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest

from seg.inference.compute.predictor import Predictor
from seg.inference.planning.plan import Plan
from seg.inference.progress import Speed, progress_on
from seg.inference.settings import PredictionSettings

MakeScene = Callable[..., Path]
MakePredictor = Callable[..., Predictor]


class Terminal(StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def plan(make_scene: MakeScene, make_predictor: MakePredictor, planned: Callable[..., Plan]) -> Plan:
    """A plan of four blocks."""
    return planned(make_scene(128, 128), make_predictor(), PredictionSettings(block_size=64, halo=0))


def test_speed_counts_only_blocks_of_this_run(plan: Plan) -> None:
    seconds = iter([10.0, 10.0, 12.0])
    speed = Speed(lambda: next(seconds))
    assert speed.text(plan, 2) == ""
    assert speed.text(plan, 4) == "0.0041 Mpx/s"  # half of 128 x 128 pixels in two seconds


def test_a_terminal_sees_blocks_and_speed(plan: Plan) -> None:
    stream = Terminal()
    with progress_on(stream, "scene.tif") as advance:
        for done in range(4):
            advance(plan, done)
    assert "scene.tif" in stream.getvalue()
    assert "3/4" in stream.getvalue()
    assert "Mpx/s" in stream.getvalue()


def test_a_file_gets_no_progress_bar(plan: Plan) -> None:
    stream = StringIO()
    with progress_on(stream, "scene.tif") as advance:
        advance(plan, 1)
    assert stream.getvalue() == ""
