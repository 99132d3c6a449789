from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from seg.errors import ConfigError, PackageError
from seg.inference.compute.member import WIDEST_CONTEXT
from seg.inference.compute.predictor import Predictor
from seg.inference.planning.fitting import fitting_bands
from seg.inference.planning.plan import Plan
from seg.inference.settings import PredictionSettings
from seg.raster.grid import read_grid

MakeScene = Callable[..., Path]
MakePredictor = Callable[..., Predictor]
Planned = Callable[[Path, Predictor, PredictionSettings], Plan]


def test_a_scene_that_fits_into_one_block_gets_no_halo(
    make_scene: MakeScene, make_predictor: MakePredictor, planned: Planned
) -> None:
    plan = planned(make_scene(100, 130), make_predictor(), PredictionSettings())
    assert (len(plan.blocks), plan.halo, plan.redundancy) == (1, 0, 1.0)


def test_size_and_halo_are_rounded_up_to_the_alignment(
    make_scene: MakeScene, make_predictor: MakePredictor, planned: Planned
) -> None:
    settings = PredictionSettings(block_size=33, halo=9)
    plan = planned(make_scene(100, 130), make_predictor(scales=(0.75, 1.0)), settings)
    assert (plan.block_size, plan.halo) == (64, 32)


def test_the_automatic_halo_is_the_whole_receptive_field_where_measuring_costs_more(
    make_scene: MakeScene, make_predictor: MakePredictor, planned: Planned, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor, scene = make_predictor(), make_scene(300, 300)
    settings = PredictionSettings(block_size=128)
    plan = planned(scene, predictor, settings)
    assert plan.halo == predictor.receptive_field >= predictor.packages[0].receptive_field
    assert plan.halo_origin == "the receptive field"
    assert planned(scene, predictor, replace(settings, halo="receptive-field")).halo == plan.halo
    monkeypatch.setattr("seg.inference.planning.plan.samples_within", lambda *arguments: 4)
    monkeypatch.setattr("seg.inference.planning.plan.measured_halo", lambda *arguments: 40)
    large = planned(scene, predictor, settings)
    assert (large.halo, large.halo_origin) == (40, f"measured, of {predictor.receptive_field}")
    assert planned(scene, predictor, replace(settings, halo="receptive-field")).halo == plan.halo


def test_an_automatic_block_size_keeps_to_the_memory(
    make_scene: MakeScene, make_predictor: MakePredictor, planned: Planned
) -> None:
    predictor, scene = make_predictor(), make_scene(900, 1000)
    plenty = planned(scene, predictor, PredictionSettings(memory=2, halo=64))
    scarce = planned(scene, predictor, PredictionSettings(memory=0.5, halo=64))
    assert (len(plenty.blocks), plenty.halo, plenty.halo_origin) == (1, 0, "none needed")
    assert len(scarce.blocks) > 1
    assert scarce.memory <= 0.5 * 2**30 < plenty.memory <= 2 * 2**30
    assert 1 < scarce.redundancy < 1.5


def test_a_model_that_sees_whole_windows_gets_a_measured_halo(
    make_scene: MakeScene, make_predictor: MakePredictor, planned: Planned
) -> None:
    predictor = make_predictor(receptive_field=None)
    assert predictor.receptive_field == WIDEST_CONTEXT
    settings = PredictionSettings(block_size=128, tolerance=0.05)
    plan = planned(make_scene(400, 400), predictor, settings)
    assert 0 < plan.halo < WIDEST_CONTEXT
    assert planned(make_scene(400, 400), predictor, replace(settings, halo=40)).halo == 40


def test_a_measured_halo_is_aligned_and_bounded(
    make_scene: MakeScene, make_predictor: MakePredictor, planned: Planned
) -> None:
    predictor = make_predictor()
    settings = PredictionSettings(block_size=128, halo="measure", tolerance=0.05)
    plan = planned(make_scene(400, 400), predictor, settings)
    assert plan.halo % predictor.alignment == 0
    assert 0 < plan.halo < predictor.receptive_field


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("block_size", 0),
        ("halo", -8),
        ("tolerance", 0.0),
        ("memory", 0.0),
        ("threshold", 5.0),
        ("pixel_size_ratio", 0.1),
    ],
)
def test_impossible_settings_are_refused(option: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"{option.replace('_', '-')} is {value}; wanted"):
        PredictionSettings(**{option: value})


def test_a_scene_with_other_bands_is_refused_with_the_way_out(
    make_scene: MakeScene, make_predictor: MakePredictor
) -> None:
    grid = read_grid(make_scene(20, 20, bands=5))
    with pytest.raises(PackageError, match=r"has 5 bands.*wants 3 \(red, green, blue\).*--bands=\[1,2,3\]"):
        fitting_bands(make_predictor().packages[0], grid, PredictionSettings())


def test_bands_are_not_offered_where_there_are_too_few(make_scene: MakeScene, make_predictor: MakePredictor) -> None:
    with pytest.raises(PackageError, match="has 1 band, but") as error:
        fitting_bands(make_predictor().packages[0], read_grid(make_scene(20, 20, bands=1)), PredictionSettings())
    assert "--bands" not in str(error.value)


def test_bands_can_be_chosen(make_scene: MakeScene, make_predictor: MakePredictor) -> None:
    grid = read_grid(make_scene(20, 20, bands=5))
    assert fitting_bands(make_predictor().packages[0], grid, PredictionSettings(bands=[5, 1, 3])) == [5, 1, 3]


def test_images_like_those_of_training_are_read_like_in_training(
    make_scene: MakeScene, make_predictor: MakePredictor
) -> None:
    package = replace(make_predictor().packages[0], bands=(4, 1, 2), image_bands=5)
    assert fitting_bands(package, read_grid(make_scene(20, 20, bands=5)), PredictionSettings()) == [4, 1, 2]
    with pytest.raises(PackageError, match="--bands"):
        fitting_bands(package, read_grid(make_scene(20, 20, bands=3)), PredictionSettings())


def test_an_alpha_band_that_training_had_not_is_no_data(make_scene: MakeScene, make_predictor: MakePredictor) -> None:
    package = make_predictor().packages[0]
    grid = read_grid(make_scene(20, 20, bands=4, dtype="uint8", photometric="RGB", alpha="YES"))
    assert grid.alpha == (4,)
    assert fitting_bands(package, grid, PredictionSettings()) == [1, 2, 3]
    assert fitting_bands(replace(package, bands=(3, 1, 2)), grid, PredictionSettings()) == [3, 1, 2]
    with pytest.raises(PackageError, match="has 4 bands"):
        fitting_bands(package, replace(grid, alpha=()), PredictionSettings())
    trained_with_it = replace(package, bands=(4, 2, 1), image_bands=4)
    assert fitting_bands(trained_with_it, grid, PredictionSettings()) == [4, 2, 1]


@pytest.mark.parametrize(("halo", "said"), [("measure", True), ("receptive-field", False)])
def test_measuring_is_announced_before_it_begins(
    make_scene: MakeScene,
    make_predictor: MakePredictor,
    planned: Planned,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    halo: str,
    said: bool,
) -> None:
    lines = []
    monkeypatch.setattr(
        "seg.inference.planning.plan.measured_halo", lambda *_: lines.append(capsys.readouterr().err) or 8
    )
    planned(make_scene(300, 300), make_predictor(), PredictionSettings(block_size=128, halo=halo))
    assert any("scene.tif: measuring" in line for line in lines) == said
    assert "measuring" not in capsys.readouterr().err


def test_a_band_that_the_scene_lacks_is_refused(make_scene: MakeScene, make_predictor: MakePredictor) -> None:
    grid = read_grid(make_scene(20, 20, bands=3))
    with pytest.raises(PackageError, match="has 3 bands, but --bands names"):
        fitting_bands(make_predictor().packages[0], grid, PredictionSettings(bands=[1, 2, 4]))


def test_a_pixel_size_far_from_training_is_refused_unless_accepted(
    make_scene: MakeScene, make_predictor: MakePredictor
) -> None:
    package = replace(make_predictor().packages[0], pixel_size_m=30.0)
    grid = read_grid(make_scene(20, 20))
    with pytest.raises(PackageError, match=r"10 m.*trained on 30 m.*--pixel-size-ratio=3"):
        fitting_bands(package, grid, PredictionSettings())
    assert fitting_bands(package, grid, PredictionSettings(pixel_size_ratio=3.0)) == [1, 2, 3]


def test_an_unknown_pixel_size_is_not_compared(make_scene: MakeScene, make_predictor: MakePredictor) -> None:
    package = replace(make_predictor().packages[0], pixel_size_m=None)
    assert fitting_bands(package, read_grid(make_scene(20, 20)), PredictionSettings()) == [1, 2, 3]
