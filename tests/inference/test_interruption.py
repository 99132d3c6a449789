import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from seg.errors import RasterError
from seg.inference.command import predict_with_progress
from seg.inference.compute.predictor import Predictor
from seg.inference.planning.fitting import fit_scene
from seg.inference.planning.plan import Plan
from seg.inference.scene import predict_scene
from seg.inference.settings import PredictionSettings
from seg.raster.writing.block_store import partial_folder

MakeScene = Callable[..., Path]
MakePredictor = Callable[..., Predictor]

SETTINGS = PredictionSettings(block_size=64, halo=16)


def silent(plan: Plan, done: int) -> None:
    """Report nothing."""


def at_block(predictor: Predictor, number: int, happens: Callable[[], None]) -> Predictor:
    """The predictor, which calls `happens` once, before it computes the block with this number, from 0."""
    plain, begun = predictor.start, [0]

    def start(image: np.ndarray) -> Callable[[], np.ndarray]:
        begun[0] += 1
        if begun[0] == number + 1:
            happens()
        return plain(image)

    predictor.start = start  # type: ignore[method-assign,assignment]
    return predictor


def failing(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_explains_how_to_continue(
    make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path, number: signal.Signals
) -> None:
    scene, output, before = make_scene(150, 200), tmp_path / "map.tif", signal.getsignal(number)
    predictor = at_block(make_predictor(), 6, lambda: os.kill(os.getpid(), number))
    with pytest.raises(KeyboardInterrupt, match=r"6 finished blocks kept in .*map\.tif\.partial: repeat the command"):
        predict_with_progress(fit_scene(scene, predictor, SETTINGS), output, predictor, SETTINGS, "scene")
    assert not output.exists()
    assert signal.getsignal(number) == before
    begun: list[int] = []
    predict_scene(scene, output, make_predictor(), SETTINGS, lambda plan, done: begun.append(done))
    assert begun[0] == 6
    assert output.exists()


def test_a_run_interrupted_before_its_first_block_reports_no_blocks(
    make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path
) -> None:
    predictor = at_block(make_predictor(), 0, failing(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt, match=r"^interrupted; repeat the command to continue$"):
        predict_scene(make_scene(150, 200), tmp_path / "map.tif", predictor, SETTINGS, silent)


class RuntimeException(Exception):  # noqa: N818
    """Exception with the name of ONNX Runtime's exception."""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 3.0 GiB for an array"),
        MemoryError(),
        RuntimeException(
            "[ONNXRuntimeError] : 6 : Non-zero status code; Failed to allocate memory for requested buffer"
        ),
        RuntimeException("[ONNXRuntimeError] : 1 : FAIL : bad allocation"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried to allocate"
        ),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("can't start new thread"),
    ],
    ids=["numpy", "python", "onnx", "onnx bare", "torch", "cuda", "thread"],
)
def test_a_run_out_of_memory_keeps_its_blocks_and_gives_advice(
    make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path, error: Exception
) -> None:
    scene, output = make_scene(150, 200), tmp_path / "map.tif"
    with pytest.raises(RasterError) as raised:
        predict_scene(scene, output, at_block(make_predictor(), 3, failing(error)), SETTINGS, silent)
    message = str(raised.value)
    assert "scene.tif: memory ran out at blocks of 64, halo 16; 3 finished blocks kept in" in message
    assert "repeat the command" in message
    assert "--block-size=32 --restart=true or with a lower --memory --restart=true" in message
    assert len(list(partial_folder(output).glob("*.npy"))) == 3
    assert "\n" not in message


def test_other_errors_are_unchanged(make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path) -> None:
    predictor = at_block(make_predictor(), 3, failing(RuntimeError("another matter")))
    with pytest.raises(RuntimeError, match="another matter"):
        predict_scene(make_scene(150, 200), tmp_path / "map.tif", predictor, SETTINGS, silent)


def test_less_memory_gives_smaller_blocks_if_none_is_finished(
    make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path
) -> None:
    scene, output, sizes = make_scene(500, 500), tmp_path / "map.tif", []
    predictor = at_block(make_predictor(), 0, failing(MemoryError()))
    with pytest.raises(RasterError, match=r"with --block-size=\d+ or with a lower --memory$"):
        predict_scene(scene, output, predictor, PredictionSettings(halo=16, memory=2), silent)
    settings = PredictionSettings(halo=16, memory=0.3)
    predict_scene(scene, output, make_predictor(), settings, lambda plan, done: sizes.append(plan.block_size))
    assert sizes[0].height < 500


def test_a_scene_may_be_removed_after_reading(
    make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path
) -> None:
    scene = make_scene(150, 200)
    whole = predict_scene(scene, tmp_path / "whole.tif", make_predictor(), SETTINGS, silent)
    predictor = at_block(make_predictor(), 4, scene.unlink)
    maps = predict_scene(scene, tmp_path / "map.tif", predictor, SETTINGS, silent)
    assert maps.probability.read_bytes() == whole.probability.read_bytes()


def test_a_run_without_its_scene_keeps_its_blocks(
    make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path
) -> None:
    scene, output, moved = make_scene(150, 200), tmp_path / "map.tif", tmp_path / "moved.tif"
    with pytest.raises(KeyboardInterrupt):
        predict_scene(scene, output, at_block(make_predictor(), 4, failing(KeyboardInterrupt())), SETTINGS, silent)
    scene.rename(moved)
    with pytest.raises(RasterError, match=r"scene\.tif: no such file"):
        predict_scene(scene, output, make_predictor(), SETTINGS, silent)
    moved.rename(scene)
    begun: list[int] = []
    predict_scene(scene, output, make_predictor(), SETTINGS, lambda plan, done: begun.append(done))
    assert begun[0] == 4


def test_a_scene_that_changes_during_the_run_gives_no_map(
    make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path
) -> None:
    scene, output = make_scene(150, 200), tmp_path / "map.tif"
    predictor = at_block(make_predictor(), 4, lambda: os.utime(scene, ns=(1, 1)))
    with pytest.raises(RasterError, match=r"scene\.tif: was changed while it was read.*--restart=true"):
        predict_scene(scene, output, predictor, SETTINGS, silent)
    assert not output.exists()
    with pytest.raises(RasterError, match=r"another scene version .*--restart=true"):
        predict_scene(scene, output, make_predictor(), SETTINGS, silent)
