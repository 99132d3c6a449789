from collections.abc import Callable
from io import StringIO
from pathlib import Path

from seg.inference.compute.predictor import Predictor
from seg.inference.planning.plan import Plan, plan_scene
from seg.inference.progress import Speed, progress_on
from seg.inference.settings import PredictionSettings
from seg.raster.grid import read_grid

MakeScene = Callable[..., Path]
MakePredictor = Callable[..., Predictor]


class Terminal(StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def four_blocks(make_scene: MakeScene, make_predictor: MakePredictor) -> Plan:
    settings = PredictionSettings(block_size=64, halo=0)
    return plan_scene(read_grid(make_scene(128, 128)), make_predictor(), settings)


def test_speed_counts_the_blocks_of_this_run_alone(make_scene: MakeScene, make_predictor: MakePredictor) -> None:
    seconds = iter([10.0, 10.0, 12.0])
    plan, speed = four_blocks(make_scene, make_predictor), Speed(lambda: next(seconds))
    assert speed.text(plan, 2) == ""
    assert speed.text(plan, 4) == "0.0041 Mpx/s"  # half of 128 x 128 pixels in two seconds


def test_a_terminal_sees_blocks_and_speed(make_scene: MakeScene, make_predictor: MakePredictor) -> None:
    plan, stream = four_blocks(make_scene, make_predictor), Terminal()
    with progress_on(stream, "scene.tif") as advance:
        for done in range(4):
            advance(plan, done)
    assert "scene.tif" in stream.getvalue()
    assert "3/4" in stream.getvalue()
    assert "Mpx/s" in stream.getvalue()


def test_what_is_no_terminal_sees_nothing(make_scene: MakeScene, make_predictor: MakePredictor) -> None:
    plan, stream = four_blocks(make_scene, make_predictor), StringIO()
    with progress_on(stream, "scene.tif") as advance:
        advance(plan, 1)
    assert stream.getvalue() == ""
