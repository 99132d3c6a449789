"""Prediction with a screener."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import rasterio

from seg.errors import RasterError
from seg.inference.augmentation import TestTimeAugmentation
from seg.inference.command import load_predictor
from seg.inference.planning.fitting import fit_scene
from seg.inference.planning.plan import Plan
from seg.inference.scene import SceneMaps, predict_scene
from seg.inference.screening.tally import read_tally
from seg.inference.settings import ComputeSettings, PredictionSettings
from seg.labels import IGNORE, OTHER
from seg.package.read import read_package
from seg.package.screener import add_screener
from seg.raster.chips import FloatImage
from support.commands import assert_mistake, run_command
from support.screeners import green_screener, write_half_green, write_screened_package

SETTINGS = PredictionSettings(screen=True, halo=16, block_size=128)
COMPUTE = ComputeSettings(backend="torch", device="cpu", threads=1)
HEIGHT, WIDTH = 400, 430
GREEN = slice(0, 200), slice(0, 230)
"""Rows and columns with plants."""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_screened_package(tmp_path_factory.mktemp("models") / "screened")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene with plants in one quarter and without data in the last rows."""
    path = write_half_green(tmp_path_factory.mktemp("scenes") / "scene.tif", HEIGHT, WIDTH, GREEN, nodata=0)
    with rasterio.open(path, "r+") as dataset:
        dataset.write(np.zeros((3, 10, WIDTH), np.uint16), window=((HEIGHT - 10, HEIGHT), (0, WIDTH)))
    return path


def mapped(package: Path, scene: Path, output: Path, settings: PredictionSettings = SETTINGS) -> SceneMaps:
    predictor = load_predictor([package], settings, COMPUTE)
    return predict_scene(scene, output, predictor, settings, lambda plan, done: None)


def pixels(path: Path | None) -> npt.NDArray[np.uint8]:
    assert path is not None
    with rasterio.open(path) as dataset:
        found: npt.NDArray[np.uint8] = dataset.read(1)
    return found


@pytest.fixture(scope="module")
def whole(package: Path, scene: Path, tmp_path_factory: pytest.TempPathFactory) -> SceneMaps:
    """Maps of the scene."""
    return mapped(package, scene, tmp_path_factory.mktemp("maps") / "map.tif")


def test_screened_pixels_are_other_with_the_screeners_probability(
    package: Path, scene: Path, whole: SceneMaps, tmp_path: Path
) -> None:
    screened = pixels(whole.screened)
    assert set(np.unique(screened)) == {0, 1, IGNORE}
    assert (screened[:192, :224] == 0).all()  # whole cells with plants
    assert (screened[260:390, 300:] == 1).all()
    assert (screened[390:] == IGNORE).all()
    assert (pixels(whole.classes)[screened == 1] == OTHER).all()
    assert set(np.unique(pixels(whole.probability)[screened == 1])) == {0}
    plain = mapped(package, scene, tmp_path / "plain.tif", replace(SETTINGS, screen=False))
    assert plain.screened is None
    for one, other in ((whole.classes, plain.classes), (whole.probability, plain.probability)):
        np.testing.assert_array_equal(pixels(one)[screened != 1], pixels(other)[screened != 1])


def test_screened_blocks_are_not_computed(package: Path, scene: Path, tmp_path: Path) -> None:
    predictor, computed = load_predictor([package], SETTINGS, COMPUTE), []
    start = predictor.start

    def counting(image: FloatImage) -> Callable[[], object]:
        computed.append(image.shape)
        return start(image)

    predictor.start = counting  # type: ignore[method-assign]
    plans: list[Plan] = []
    maps = predict_scene(scene, tmp_path / "map.tif", predictor, SETTINGS, lambda plan, _: plans.append(plan))
    assert len(plans[0].blocks) == 16
    tally = read_tally(maps.classes)
    assert len(computed) == 16 - tally.blocks == 4
    assert tally.pixels == (pixels(maps.screened) == 1).sum()
    assert (tally.of_blocks, tally.of_pixels, tally.risk) == (16, (HEIGHT - 10) * WIDTH, 0.001)


@pytest.mark.parametrize("size", [64, 200, "auto"])
def test_the_screened_pixels_do_not_depend_on_the_blocks(
    package: Path, scene: Path, whole: SceneMaps, tmp_path: Path, size: int
) -> None:
    maps = mapped(package, scene, tmp_path / "map.tif", replace(SETTINGS, block_size=size))
    np.testing.assert_array_equal(pixels(maps.screened), pixels(whole.screened))


def test_the_screened_pixels_do_not_depend_on_the_area(
    package: Path, scene: Path, whole: SceneMaps, tmp_path: Path
) -> None:
    box = "502000,5397000,503900,5399000"  # columns 200 to 389, rows 100 to 299
    maps = mapped(package, scene, tmp_path / "map.tif", replace(SETTINGS, area=box))
    inside = slice(100, 300), slice(200, 390)
    np.testing.assert_array_equal(pixels(maps.screened)[inside], pixels(whole.screened)[inside])


def test_a_killed_run_goes_on_to_the_same_bytes(package: Path, scene: Path, whole: SceneMaps, tmp_path: Path) -> None:
    output = tmp_path / "map.tif"

    def kill(plan: Plan, done: int) -> None:
        if done == 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_scene(scene, output, load_predictor([package], SETTINGS, COMPUTE), SETTINGS, kill)
    with pytest.raises(RasterError, match="another screening"):
        mapped(package, scene, output, replace(SETTINGS, screen=False))
    resumed = mapped(package, scene, output)
    for one, other in ((resumed.classes, whole.classes), (resumed.screened, whole.screened)):
        assert one is not None
        assert other is not None
        assert one.read_bytes() == other.read_bytes()


def test_views_and_models_are_averaged_only_where_pixels_are_computed(
    package: Path, scene: Path, whole: SceneMaps, tmp_path: Path
) -> None:
    settings = replace(SETTINGS, tta=TestTimeAugmentation(dihedral=["identity", "rot90"]), uncertainty=True)
    maps = mapped(package, scene, tmp_path / "map.tif", settings)
    screened = pixels(maps.screened)
    np.testing.assert_array_equal(screened, pixels(whole.screened))
    assert (pixels(maps.uncertainty)[screened != 0] == IGNORE).all()
    assert (pixels(maps.uncertainty)[screened == 0] <= 100).all()


def test_another_screener_is_another_run(package: Path, scene: Path, tmp_path: Path) -> None:
    other = write_screened_package(tmp_path / "other", green_screener(cut=-9.0))
    plain = replace(SETTINGS, screen=False)
    found = [
        fit_scene(scene, load_predictor([folder], settings, COMPUTE), settings).identity.checksum
        for folder, settings in ((package, SETTINGS), (other, SETTINGS), (package, plain), (other, plain))
    ]
    assert len(set(found)) == 3
    assert found[2] == found[3]


def test_the_command_says_how_much_was_screened_and_at_what_risk(package: Path, scene: Path, tmp_path: Path) -> None:
    words = [f"--model={package}", f"--input={scene}", f"--output={tmp_path / 'map.tif'}", "--screen=true"]
    words += ["--block-size=128", "--halo=16", "--backend=torch", "--device=cpu"]
    ran = run_command("predict", *words)
    assert (ran.status, ran.err) == (0, ""), ran
    assert "screening: at most 0.001 of the cropland is expected in screened cells; in 20 held-out scenes" in ran.out
    assert "screened as other, among them all of 12 of 16 blocks; expected loss: 0.001 of the cropland" in ran.out
    assert run_command("predict", *words).out.count(": kept, since") == 1
    (tmp_path / "map_screened.tif").unlink()
    assert "kept" not in run_command("predict", *words).out


def test_a_package_without_a_screener_is_a_mistake(package: Path, scene: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    shutil.copytree(package, plain)
    text = (plain / "model.json").read_text()
    assert (read_package(plain).screener_sha256 or "") in text
    (plain / "model.json").write_text(text.replace(f'"{read_package(plain).screener_sha256}"', "null"))
    words = (f"--model={plain}", f"--input={scene}", f"--output={tmp_path / 'map.tif'}", "--backend=torch")
    assert_mistake(run_command("predict", *words, "--screen"), f"{plain}: has no screener", "--screener=FILE")


def test_a_screener_of_other_sizes_is_a_mistake(scene: Path, tmp_path: Path) -> None:
    package = write_screened_package(tmp_path / "model", green_screener(geometry=(8, 64)))
    words = (f"--model={package}", f"--input={scene}", f"--output={tmp_path / 'map.tif'}", "--backend=torch")
    assert_mistake(run_command("predict", *words, "--screen"), "[8, 64]", "train it again")


def test_a_killed_run_of_openvino_goes_on_to_the_same_bytes(onnx_package: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(onnx_package, model)
    add_screener(model, green_screener())
    scene = write_half_green(tmp_path / "scene.tif", HEIGHT, WIDTH, GREEN)
    with rasterio.open(scene, "r+") as dataset:
        dataset.descriptions = ("", "", "")
    predictor = load_predictor([model], SETTINGS, ComputeSettings(backend="openvino", threads=1))
    whole = predict_scene(scene, tmp_path / "whole.tif", predictor, SETTINGS, lambda plan, done: None)

    def kill(plan: Plan, done: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_scene(scene, tmp_path / "map.tif", predictor, SETTINGS, kill)
    resumed = predict_scene(scene, tmp_path / "map.tif", predictor, SETTINGS, lambda plan, done: None)
    assert resumed.classes.read_bytes() == whole.classes.read_bytes()
    assert resumed.probability.read_bytes() == whole.probability.read_bytes()
    assert (pixels(resumed.screened) == 1).mean() > 0.3
