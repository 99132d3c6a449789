from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio

from seg.errors import ConfigError, RasterError
from seg.inference.compute.predictor import Predictor
from seg.inference.planning.plan import Plan
from seg.inference.scene import predict_scene
from seg.inference.settings import PredictionSettings
from seg.raster.writing.block_store import partial_folder

MakeScene = Callable[..., Path]
MakePredictor = Callable[..., Predictor]


def silent(plan: Plan, done: int) -> None:
    """Report nothing."""


class KilledError(Exception):
    """Simulates that the process is killed."""


def kill_after(blocks: int) -> Callable[[Plan, int], None]:
    """A report function that kills the run when this number of blocks is done."""

    def report(plan: Plan, done: int) -> None:
        if done == blocks:
            raise KilledError

    return report


def test_a_killed_run_resumes_with_the_same_bytes(
    make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path
) -> None:
    scene, settings = make_scene(150, 200), PredictionSettings(block_size=64, halo=16)
    whole = predict_scene(scene, tmp_path / "whole.tif", make_predictor(), settings, silent)

    output = tmp_path / "map.tif"
    with pytest.raises(KilledError):
        predict_scene(scene, output, make_predictor(), settings, kill_after(5))
    assert not output.exists()
    begun: list[int] = []
    resumed = predict_scene(scene, output, make_predictor(), settings, lambda plan, done: begun.append(done))
    assert begun[0] == 5
    assert resumed.classes.read_bytes() == whole.classes.read_bytes()
    assert resumed.probability.read_bytes() == whole.probability.read_bytes()
    assert not partial_folder(output).exists()


def test_a_measured_halo_is_kept_on_resuming(
    make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, settings = make_scene(300, 300), PredictionSettings(block_size=128, halo="measure")
    halos: list[int] = []

    def kill_at_once(plan: Plan, done: int) -> None:
        halos.append(plan.halo)
        raise KilledError

    for _ in range(2):
        with pytest.raises(KilledError):
            predict_scene(scene, tmp_path / "map.tif", make_predictor(), settings, kill_at_once)
        monkeypatch.setattr(
            "seg.inference.planning.plan.measured_halo", lambda *arguments: pytest.fail("measured again")
        )
    assert halos[0] == halos[1] > 0


def test_a_block_size_chosen_for_the_memory_is_kept_on_resuming(
    make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path
) -> None:
    scene, output = make_scene(500, 500), tmp_path / "map.tif"
    with pytest.raises(KilledError):
        predict_scene(scene, output, make_predictor(), PredictionSettings(halo=16, memory=0.3), kill_after(2))
    begun: list[tuple[int, int]] = []
    settings = PredictionSettings(halo=16, memory=2)
    predict_scene(scene, output, make_predictor(), settings, lambda plan, done: begun.append((done, len(plan.blocks))))
    assert begun[0][0] == 2
    assert begun[0][1] > 2


def test_a_halo_measured_for_another_tolerance_is_not_kept(
    make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, output, halos = make_scene(300, 300), tmp_path / "map.tif", []
    monkeypatch.setattr("seg.inference.planning.plan.measured_halo", lambda *arguments: int(1 / arguments[-1]))

    def kill_at_once(plan: Plan, done: int) -> None:
        halos.append(plan.halo)
        raise KilledError

    for tolerance in (1 / 8, 1 / 64):
        settings = PredictionSettings(block_size=128, halo="measure", tolerance=tolerance)
        with pytest.raises(KilledError):
            predict_scene(scene, output, make_predictor(), settings, kill_at_once)
    assert halos == [8, 64]


def test_blocks_of_other_settings_are_not_resumed(
    make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path
) -> None:
    scene = make_scene(150, 200)

    with pytest.raises(KilledError):
        predict_scene(
            scene, tmp_path / "map.tif", make_predictor(), PredictionSettings(block_size=64, halo=16), kill_after(2)
        )
    settings = PredictionSettings(block_size=64, halo=24)
    with pytest.raises(RasterError, match=r"another halo.*--restart"):
        predict_scene(scene, tmp_path / "map.tif", make_predictor(), settings, silent)


def test_restart_discards_the_blocks_of_other_settings(
    make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path
) -> None:
    scene, output = make_scene(150, 200), tmp_path / "map.tif"

    with pytest.raises(KilledError):
        predict_scene(scene, output, make_predictor(), PredictionSettings(block_size=64, halo=16), kill_after(2))
    begun: list[int] = []
    settings = PredictionSettings(block_size=64, halo=24, restart=True)
    predict_scene(scene, output, make_predictor(), settings, lambda plan, done: begun.append(done))
    assert begun[0] == 0
    assert output.exists()


def test_restart_with_a_mistyped_scene_discards_nothing(
    make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path
) -> None:
    scene, output = make_scene(150, 200), tmp_path / "map.tif"

    with pytest.raises(KilledError):
        predict_scene(scene, output, make_predictor(), PredictionSettings(block_size=64, halo=16), kill_after(2))
    with pytest.raises(RasterError, match="no such file"):
        predict_scene(tmp_path / "none.tif", output, make_predictor(), PredictionSettings(restart=True), silent)
    assert len(list(partial_folder(output).glob("*.npy"))) == 2


def test_a_killed_run_without_finished_blocks_does_not_stop_another(
    make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path
) -> None:
    scene, output = make_scene(150, 200), tmp_path / "map.tif"
    with pytest.raises(KilledError):
        predict_scene(scene, output, make_predictor(), PredictionSettings(block_size=64, halo=16), kill_after(0))
    predict_scene(scene, output, make_predictor(), PredictionSettings(block_size=64, halo=24), silent)
    assert output.exists()


@pytest.mark.parametrize("output", ["missing/map.tif", "map.png", "scene.tif"])
def test_an_invalid_output_is_refused_before_computing(
    make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path, output: str
) -> None:
    with pytest.raises(ConfigError, match=output.split("/")[0]):
        predict_scene(make_scene(20, 20), tmp_path / output, make_predictor(), PredictionSettings(), silent)
    assert list(tmp_path.iterdir()) == [tmp_path / "scene.tif"]


def test_the_probability_map_never_replaces_the_scene(
    make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path
) -> None:
    scene = make_scene(20, 20, name="s_probability.tif")
    content = scene.read_bytes()
    with pytest.raises(ConfigError, match=r"s_probability\.tif: is one of the inputs"):
        predict_scene(scene, tmp_path / "s.tif", make_predictor(), PredictionSettings(), silent)
    assert scene.read_bytes() == content


def test_a_folder_as_output_is_refused(make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path) -> None:
    (tmp_path / "map.tif").mkdir()
    with pytest.raises(ConfigError, match="is a folder"):
        predict_scene(make_scene(20, 20), tmp_path / "map.tif", make_predictor(), PredictionSettings(), silent)


def test_an_earlier_map_is_replaced(make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path) -> None:
    (tmp_path / "map.tif").write_text("an earlier map")
    predict_scene(make_scene(20, 20), tmp_path / "map.tif", make_predictor(), PredictionSettings(), silent)
    with rasterio.open(tmp_path / "map.tif") as dataset:
        assert dataset.shape == (20, 20)


def test_a_measured_halo_keeps_the_map_within_the_tolerance(
    make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path
) -> None:
    scene, maps = make_scene(300, 420), []
    for name, settings in (
        ("whole", PredictionSettings()),
        ("cut", PredictionSettings(block_size=64, halo="measure", tolerance=0.05)),
    ):
        made = predict_scene(scene, tmp_path / f"{name}.tif", make_predictor(), settings, silent)
        with rasterio.open(made.probability) as dataset:
            maps.append(dataset.read(1).astype(int))
    assert np.abs(maps[0] - maps[1]).max() <= 5 + 1  # tolerance in percent, plus rounding


def test_the_nodata_value_of_training_is_the_default(
    make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path
) -> None:
    scene, predictor = make_scene(40, 40), make_predictor(nodata=0.0)
    with rasterio.open(scene, "r+") as dataset:
        dataset.write(np.zeros((3, 10, 40), np.uint16), window=((0, 10), (0, 40)))
    made = predict_scene(scene, tmp_path / "map.tif", predictor, PredictionSettings(), silent)
    with rasterio.open(made.classes) as dataset:
        assert (dataset.read(1)[:10] == 255).all()
