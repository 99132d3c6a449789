import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from seg.errors import PackageError
from seg.inference.compute.predictor import Predictor
from seg.inference.planning import fitting
from seg.inference.planning.fitting import fit_scene, fitting_bands
from seg.inference.scene import predict_scene
from seg.inference.settings import PredictionSettings
from seg.raster.grid import read_grid

MakeScene = Callable[..., Path]
MakePredictor = Callable[..., Predictor]


def test_a_scene_with_other_bands_is_refused_with_advice(make_scene: MakeScene, make_predictor: MakePredictor) -> None:
    grid = read_grid(make_scene(20, 20, bands=5))
    with pytest.raises(PackageError, match=r"has 5 bands.*wants 3 \(red, green, blue\).*--bands=\[1,2,3\]"):
        fitting_bands(make_predictor().packages[0], grid, PredictionSettings())


def test_bands_are_not_suggested_if_there_are_too_few(make_scene: MakeScene, make_predictor: MakePredictor) -> None:
    with pytest.raises(PackageError, match="has 1 band, but") as error:
        fitting_bands(make_predictor().packages[0], read_grid(make_scene(20, 20, bands=1)), PredictionSettings())
    assert "--bands" not in str(error.value)


def test_bands_can_be_chosen(make_scene: MakeScene, make_predictor: MakePredictor) -> None:
    grid = read_grid(make_scene(20, 20, bands=5))
    assert fitting_bands(make_predictor().packages[0], grid, PredictionSettings(bands=[5, 1, 3])) == [5, 1, 3]


def test_images_with_the_bands_of_training_are_read_as_in_training(
    make_scene: MakeScene, make_predictor: MakePredictor
) -> None:
    package = replace(make_predictor().packages[0], bands=(4, 1, 2), image_bands=5)
    assert fitting_bands(package, read_grid(make_scene(20, 20, bands=5)), PredictionSettings()) == [4, 1, 2]
    with pytest.raises(PackageError, match="--bands"):
        fitting_bands(package, read_grid(make_scene(20, 20, bands=3)), PredictionSettings())


def test_an_alpha_band_unknown_to_training_is_a_mask(make_scene: MakeScene, make_predictor: MakePredictor) -> None:
    package = make_predictor().packages[0]
    grid = read_grid(make_scene(20, 20, bands=4, dtype="uint8", photometric="RGB", alpha="YES"))
    assert grid.alpha == (4,)
    assert fitting_bands(package, grid, PredictionSettings()) == [1, 2, 3]
    assert fitting_bands(replace(package, bands=(3, 1, 2)), grid, PredictionSettings()) == [3, 1, 2]
    with pytest.raises(PackageError, match="has 4 bands"):
        fitting_bands(package, replace(grid, alpha=()), PredictionSettings())
    trained_with_it = replace(package, bands=(4, 2, 1), image_bands=4)
    assert fitting_bands(trained_with_it, grid, PredictionSettings()) == [4, 2, 1]


def test_bands_are_taken_by_name(make_scene: MakeScene, make_predictor: MakePredictor) -> None:
    package = make_predictor().packages[0]
    grid = read_grid(make_scene(20, 20, bands=4))
    assert fitting_bands(package, replace(grid, band_names=("NIR", "Blue", "Green ", "Red")), PredictionSettings()) == [
        4,
        3,
        2,
    ]
    reordered = replace(grid, bands=3, band_names=("blue", "green", "red"))
    assert fitting_bands(package, reordered, PredictionSettings()) == [3, 2, 1]
    assert fitting_bands(package, reordered, PredictionSettings(bands=[1, 2, 3])) == [1, 2, 3]


@pytest.mark.parametrize("names", [("blue", "", ""), ("green", "red", "nir"), ("red", "red", "blue")])
def test_band_names_that_contradict_the_order_are_refused(
    make_scene: MakeScene, make_predictor: MakePredictor, names: tuple[str, ...]
) -> None:
    grid = replace(read_grid(make_scene(20, 20)), band_names=names)
    with pytest.raises(PackageError, match=r"wants 3 \(red, green, blue\) in this order; .*--bands=\[1,2,3\]"):
        fitting_bands(make_predictor().packages[0], grid, PredictionSettings())


def test_unknown_band_names_are_accepted(make_scene: MakeScene, make_predictor: MakePredictor) -> None:
    grid = replace(read_grid(make_scene(20, 20)), band_names=("B04", "B03", "B02"))
    assert fitting_bands(make_predictor().packages[0], grid, PredictionSettings()) == [1, 2, 3]


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


@pytest.mark.parametrize("name", ["read_grid", "area_on", "common_bands"])
def test_a_scene_is_fitted_once_per_run(
    make_scene: MakeScene, make_predictor: MakePredictor, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    scene, plain, calls = make_scene(150, 200), getattr(fitting, name), []
    monkeypatch.setattr(fitting, name, lambda *given: calls.append(given) or plain(*given))
    settings = PredictionSettings(block_size=64, halo=8, area="500000,5399000,501000,5400000")
    predict_scene(scene, scene.with_name("map.tif"), make_predictor(), settings, lambda plan, done: None)
    assert len(calls) == 1


def test_an_identity_contains_everything_that_maps_depend_on(
    make_scene: MakeScene, make_predictor: MakePredictor
) -> None:
    scene, predictor = make_scene(20, 20), make_predictor()
    plain = fit_scene(scene, predictor, PredictionSettings()).identity
    assert plain == fit_scene(scene, predictor, PredictionSettings(memory=1, pixel_size_ratio=2)).identity
    for other in ({"threshold": 0.4}, {"nodata": 7}, {"bands": [3, 2, 1]}, {"halo": 8}, {"tolerance": 0.1}):
        changed = fit_scene(scene, predictor, PredictionSettings(**other)).identity
        assert changed.checksum != plain.checksum


def test_blocks_of_other_sizes_belong_to_the_same_run(make_scene: MakeScene, make_predictor: MakePredictor) -> None:
    scene, predictor = make_scene(20, 20), make_predictor()
    nan = fit_scene(scene, predictor, PredictionSettings(nodata=float("nan"))).identity
    kept = json.loads(json.dumps(nan.dependencies | {"block_size": 64, "halo": 8}))
    assert nan.matches(kept)
    assert fit_scene(scene, predictor, PredictionSettings(nodata=float("nan"), block_size=99)).identity.matches(kept)
    assert not fit_scene(scene, predictor, PredictionSettings()).identity.matches(kept)
    assert not nan.matches({})
