import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio

from seg.errors import ConfigError
from seg.inference.command import predict
from seg.inference.settings import ComputeSettings, PredictionSettings
from seg.package.read import load_model, read_package
from seg.places import sampling
from seg.places.adapting import adapt
from seg.places.norms import tracking_norms
from seg.places.report import report_values
from seg.places.settings import AdaptationSettings, PlaceSettings
from seg.raster.folder import Inputs
from support.packages import copy_by_scene

WritePlace = Callable[..., list[Path]]
READING = PlaceSettings(device="cpu")
TORCH = ComputeSettings(backend="torch", device="cpu")


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "SIDE", 32)


def percent_map(model: Path, scene: Path, output: Path, **settings: object) -> bytes:
    predict([model], Inputs([scene], several=False), output, PredictionSettings(**settings), TORCH)
    with rasterio.open(output.with_stem(f"{output.stem}_probability")) as dataset:
        return bytes(dataset.read())


@pytest.mark.parametrize("mix", [0.0, 0.5])
def test_a_place_in_another_unit_gets_the_same_map(
    model: Path, write_place: WritePlace, tmp_path: Path, mix: float
) -> None:
    maps = []
    for name, mean, std in (("reflectance", 0.2, 0.02), ("digital", 2000.0, 200.0)):
        scenes = write_place(tmp_path / name, [(64, 64)], mean, std, dtype="float32")
        adapt(model, scenes, tmp_path / f"m_{name}", READING, AdaptationSettings(mix=mix))
        maps.append(np.frombuffer(percent_map(tmp_path / f"m_{name}", scenes[0], tmp_path / f"{name}.tif"), np.uint8))
    assert np.abs(maps[0].astype(int) - maps[1]).max() <= 1
    assert maps[0].std() > 5


def test_map_of_an_adapted_package_does_not_depend_on_the_cuts(
    model: Path, write_place: WritePlace, tmp_path: Path
) -> None:
    [scene] = write_place(tmp_path, [(90, 70)], mean=500.0, std=100.0)
    adapt(model, [scene], tmp_path / "here", READING, AdaptationSettings(mix=0.7))
    found = [
        percent_map(tmp_path / "here", scene, tmp_path / f"{size}.tif", block_size=size, halo="receptive-field")
        for size in (128, 32)
    ]
    assert found[0] == found[1]


def test_package_says_where_its_statistics_come_from(model: Path, write_place: WritePlace, tmp_path: Path) -> None:
    scenes = write_place(tmp_path, [(40, 40), (32, 32)], mean=500.0, std=100.0)
    adapt(model, scenes, tmp_path / "here", READING, AdaptationSettings(mix=0.25, windows=8))
    parent, package = read_package(model), read_package(tmp_path / "here")
    assert package.adaptation is not None
    assert package.adaptation.parent_sha256 == parent.weights_sha256
    assert package.adaptation.mix == 0.25
    assert package.adaptation.scenes.keys() == {"scene_0.tif", "scene_1.tif"}
    assert package.adaptation.pixels <= 40 * 40 + 32 * 32
    assert package.mean == pytest.approx([500.0] * 3, abs=50)
    assert parent.adaptation is None


def test_an_adapted_package_says_that_its_calibration_is_no_longer_measured(
    model: Path, write_place: WritePlace, tmp_path: Path
) -> None:
    adapt(model, write_place(tmp_path, [(32, 32)]), tmp_path / "here", READING, AdaptationSettings())
    parent, package = read_package(model), read_package(tmp_path / "here")
    assert (package.temperature, package.bias, package.threshold) == (parent.temperature, parent.bias, parent.threshold)
    assert "calibration error" in parent.decision
    assert "not measured since" in package.decision
    assert package.metrics == {}


def test_mix_of_0_keeps_the_norms_of_training(model: Path, write_place: WritePlace, tmp_path: Path) -> None:
    scenes = write_place(tmp_path, [(32, 32)], mean=500.0)
    adapt(model, scenes, tmp_path / "kept", READING, AdaptationSettings(mix=0.0))
    adapt(model, scenes, tmp_path / "moved", READING, AdaptationSettings(mix=0.5))
    old, kept, moved = (
        [norm.running_mean.tolist() for norm in tracking_norms(load_model(folder, read_package(folder))).values()]
        for folder in (model, tmp_path / "kept", tmp_path / "moved")
    )
    assert old == kept
    assert all(before != after for before, after in zip(old, moved, strict=True))


def test_bands_of_the_new_place_become_those_of_the_package(
    model: Path, write_raster: Callable[..., Path], tmp_path: Path
) -> None:
    image = np.random.default_rng(0).integers(1000, 3000, size=(4, 32, 32)).astype(np.uint16)
    scene = write_raster(tmp_path / "four.tif", image)
    reading = PlaceSettings(bands=[4, 3, 2], device="cpu", nodata=9.0)
    adapt(model, [scene], tmp_path / "here", reading, AdaptationSettings())
    package = read_package(tmp_path / "here")
    assert (package.bands, package.image_bands, package.nodata) == ((4, 3, 2), 4, 9.0)
    predict([tmp_path / "here"], Inputs([scene], several=False), tmp_path / "map.tif", PredictionSettings(), TORCH)


def test_the_model_itself_is_never_replaced(model: Path, write_place: WritePlace, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is the folder of the model"):
        adapt(model, write_place(tmp_path, [(32, 32)]), model, READING, AdaptationSettings())


def test_report_counts_only_pixels_with_data(
    model: Path, write_raster: Callable[..., Path], fields: Callable[..., np.ndarray], tmp_path: Path
) -> None:
    image = (fields(32, 32) * 200 + 2000).astype(np.uint16)
    image[:, :, 20:] = 0
    scene = write_raster(tmp_path / "a.tif", image)
    adapted = adapt(model, [scene], tmp_path / "here", READING, AdaptationSettings())
    values = json.loads(json.dumps(report_values(adapted)))
    assert adapted.package.adaptation is not None
    assert adapted.package.adaptation.pixels == 32 * 20
    assert (np.asarray(adapted.before[0])[:, 20:] == 255).all()
    cut = read_package(model).threshold * 100
    assert values["cropland_share"][0] == pytest.approx((adapted.before[0][:, :20] > cut).mean())


def test_a_model_that_normalises_scenes_keeps_its_band_statistics(
    model: Path, write_place: Callable[..., list[Path]], tmp_path: Path
) -> None:
    by_scene = copy_by_scene(model, tmp_path / "model")
    scenes = write_place(tmp_path / "place", [(64, 64)], mean=0.3, std=0.02, dtype="float32")
    with pytest.raises(ConfigError, match="needs no new band statistics; map the scenes"):
        adapt(by_scene, scenes, tmp_path / "here", READING, AdaptationSettings())
    adapted = adapt(by_scene, scenes, tmp_path / "here", READING, AdaptationSettings(mix=0.5))
    assert adapted.package.mean == adapted.parent.mean
    assert max(movement.mean for movement in adapted.movements) < 3
