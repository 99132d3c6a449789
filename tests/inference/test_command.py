from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio

from seg.errors import IncompleteError, NoOverlapError
from seg.inference import command
from seg.inference.command import map_each
from seg.inference.compute.predictor import Predictor
from seg.inference.inputs import Job
from seg.inference.planning.fitting import FittedScene
from seg.inference.settings import PredictionSettings

MakeScene = Callable[..., Path]
MakePredictor = Callable[..., Predictor]

CUT = PredictionSettings(block_size=64, halo=16)


@pytest.fixture
def jobs(make_scene: MakeScene, tmp_path: Path) -> list[Job]:
    """Three scenes of different sizes."""
    return [job(make_scene(40 + 30 * number, 90, f"s{number}.tif"), tmp_path) for number in range(3)]


def job(scene: Path, folder: Path) -> Job:
    (folder / "maps").mkdir(exist_ok=True)
    return Job(scene, folder / "maps" / f"{scene.stem}.tif")


def times(jobs: list[Job]) -> list[int]:
    return [job.output.stat().st_mtime_ns for job in jobs]


def test_each_scene_gets_its_maps(jobs: list[Job], make_predictor: MakePredictor) -> None:
    tally = map_each(jobs, make_predictor(), CUT)
    assert str(tally) == "3 scenes: 3 mapped"
    for number, done in enumerate(jobs):
        with rasterio.open(done.output) as classes:
            assert classes.shape == (40 + 30 * number, 90)
    assert len(list(jobs[0].output.parent.iterdir())) == 6


def test_a_failed_scene_does_not_stop_the_others(
    jobs: list[Job], make_predictor: MakePredictor, make_scene: MakeScene, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    broken = make_scene(64, 64, "broken.tif", tiled=True, blockxsize=64, blockysize=64, compress="deflate")
    broken.write_bytes(broken.read_bytes()[:5000])
    text = tmp_path / "text.tif"
    text.write_text("no raster")
    wrong = [broken, text, tmp_path / "missing.tif", make_scene(20, 20, "two.tif", bands=2)]
    mixed = [jobs[0], *(job(scene, tmp_path) for scene in wrong), jobs[1]]
    with pytest.raises(IncompleteError, match=r"4 of 6 scenes could not be mapped"):
        map_each(mixed, make_predictor(), CUT)
    assert jobs[0].output.exists()
    assert jobs[1].output.exists()
    captured = capsys.readouterr()
    assert "6 scenes: 2 mapped, 4 failed" in captured.out
    listed = captured.err.partition("could not be mapped:\n")[2].splitlines()
    assert len(listed) == 4
    for line, scene, said in zip(
        listed, wrong, ["", "not a readable raster", "no such file", "has 2 bands"], strict=True
    ):
        assert scene.name in line
        assert said in line
        assert f"failed:{line[1:]}" in captured.err.splitlines()
        assert not (tmp_path / "maps" / f"{scene.stem}_probability.tif").exists()


def test_an_unexpected_error_does_not_stop_other_scenes(
    jobs: list[Job], make_predictor: MakePredictor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    plain = command.predict_with_progress

    def fail_at_first(scene: FittedScene, output: Path, *others: object) -> object:
        if output == jobs[0].output:
            raise ZeroDivisionError("division by\nzero")
        return plain(scene, output, *others)

    monkeypatch.setattr(command, "predict_with_progress", fail_at_first)
    with pytest.raises(IncompleteError, match="1 of 3"):
        map_each(jobs, make_predictor(), CUT)
    assert "s0.tif: ZeroDivisionError (unexpected): division by zero" in capsys.readouterr().err
    assert jobs[2].output.exists()


def test_maps_of_the_same_run_are_kept(
    jobs: list[Job], make_predictor: MakePredictor, capsys: pytest.CaptureFixture
) -> None:
    map_each(jobs[:2], make_predictor(), CUT)
    before = times(jobs[:2])
    tally = map_each(jobs, make_predictor(), CUT)
    assert (tally.mapped, tally.kept) == (1, 2)
    assert times(jobs[:2]) == before
    assert "s0.tif: kept" in capsys.readouterr().out


def make_other_threshold(jobs: list[Job]) -> PredictionSettings:
    return PredictionSettings(block_size=64, halo=16, threshold=0.4)


def make_other_halo(jobs: list[Job]) -> PredictionSettings:
    return PredictionSettings(block_size=64, halo=24)


def ask_to_overwrite(jobs: list[Job]) -> PredictionSettings:
    return PredictionSettings(block_size=64, halo=16, existing="overwrite")


def ask_to_restart(jobs: list[Job]) -> PredictionSettings:
    return PredictionSettings(block_size=64, halo=16, restart=True)


def change_the_scene(jobs: list[Job]) -> PredictionSettings:
    with rasterio.open(jobs[0].scene, "r+") as dataset:
        dataset.write(np.full((3, 5, 5), 9, np.uint16), window=((0, 5), (0, 5)))
    return CUT


def lose_a_map(jobs: list[Job]) -> PredictionSettings:
    jobs[0].output.with_name("s0_probability.tif").unlink()
    return CUT


def replace_a_map(jobs: list[Job]) -> PredictionSettings:
    jobs[0].output.write_text("an older map")
    return CUT


@pytest.mark.parametrize(
    "change",
    [
        make_other_threshold,
        make_other_halo,
        ask_to_overwrite,
        ask_to_restart,
        change_the_scene,
        lose_a_map,
        replace_a_map,
    ],
)
def test_maps_of_another_run_are_replaced(
    jobs: list[Job], make_predictor: MakePredictor, change: Callable[[list[Job]], PredictionSettings]
) -> None:
    map_each(jobs[:1], make_predictor(), CUT)
    tally = map_each(jobs[:1], make_predictor(), change(jobs))
    assert (tally.mapped, tally.kept) == (1, 0)
    with rasterio.open(jobs[0].output) as dataset:
        assert dataset.shape == (40, 90)


def test_scenes_outside_the_area_are_skipped(
    jobs: list[Job], make_predictor: MakePredictor, capsys: pytest.CaptureFixture
) -> None:
    low = PredictionSettings(area="500000,5399000,501000,5399500")  # below row 50
    tally = map_each(jobs, make_predictor(), low)
    assert str(tally) == "3 scenes: 2 mapped, 1 outside the area"
    assert "skipped: " in capsys.readouterr().err
    assert not jobs[0].output.exists()


def test_an_area_outside_all_scenes_is_a_mistake(jobs: list[Job], make_predictor: MakePredictor) -> None:
    with pytest.raises(NoOverlapError, match="no scene has a pixel in this area"):
        map_each(jobs, make_predictor(), PredictionSettings(area="0,0,1,1"))


@pytest.mark.parametrize(("existing", "said"), [("skip", ""), ("overwrite", "; --existing=skip keeps their maps")])
def test_an_interrupt_ends_the_batch_and_explains_how_to_continue(
    jobs: list[Job], make_predictor: MakePredictor, monkeypatch: pytest.MonkeyPatch, existing: str, said: str
) -> None:
    predictor = make_predictor()
    plain, begun = predictor.start, [0]

    def start(image: np.ndarray) -> object:
        begun[0] += 1
        if begun[0] == 8:  # scenes of 2, 4 and 4 blocks: the second block of the third scene
            raise KeyboardInterrupt
        return plain(image)

    monkeypatch.setattr(predictor, "start", start)
    settings = PredictionSettings(block_size=64, halo=16, existing=existing)
    with pytest.raises(KeyboardInterrupt, match=rf"interrupted; .*repeat the command.*; 2 of 3 scenes are done{said}$"):
        map_each(jobs, predictor, settings)
    assert len(list((jobs[2].output.parent / "s2.tif.partial").glob("*.npy"))) == 1
    tally = map_each(jobs, make_predictor(), CUT)
    assert (tally.mapped, tally.kept) == (1, 2)
