from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from seg.errors import ConfigError
from seg.inference.compute.member import WIDEST_CONTEXT
from seg.inference.compute.predictor import Predictor
from seg.inference.planning.block_size import square
from seg.inference.planning.plan import Plan
from seg.inference.settings import PredictionSettings

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
    assert (plan.block_size, plan.halo) == (square(64), 32)


def test_the_automatic_halo_is_the_receptive_field_if_measuring_costs_more(
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
    assert (large.halo, large.halo_origin) == (40, f"measured; the receptive field is {predictor.receptive_field}")
    assert planned(scene, predictor, replace(settings, halo="receptive-field")).halo == plan.halo


def test_an_automatic_block_size_stays_within_the_memory(
    make_scene: MakeScene, make_predictor: MakePredictor, planned: Planned
) -> None:
    predictor, scene = make_predictor(), make_scene(900, 1000)
    plenty = planned(scene, predictor, PredictionSettings(memory=2, halo=64))
    scarce = planned(scene, predictor, PredictionSettings(memory=0.5, halo=64))
    assert (len(plenty.blocks), plenty.halo, plenty.halo_origin) == (1, 0, "none needed")
    assert len(scarce.blocks) > 1
    assert scarce.memory <= 0.5 * 2**30 < plenty.memory <= 2 * 2**30
    assert 1 < scarce.redundancy < 1.5


def test_an_unbounded_model_gets_a_measured_halo(
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


@pytest.mark.parametrize(("halo", "said"), [("measure", True), ("receptive-field", False)])
def test_measuring_is_announced_before_it_begins(
    make_scene: MakeScene,
    make_predictor: MakePredictor,
    planned: Planned,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    halo: str,
    said: bool,
) -> None:
    lines: list[str] = []
    monkeypatch.setattr("seg.inference.planning.plan.measured_halo", lambda *_: lines.extend(caplog.messages) or 8)
    caplog.set_level("INFO", "seg")
    planned(make_scene(300, 300), make_predictor(), PredictionSettings(block_size=128, halo=halo))
    assert any("scene.tif: measuring" in line for line in lines) == said
    assert sum("measuring" in line for line in caplog.messages) == said
