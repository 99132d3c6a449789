from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio

from seg.errors import PackageError
from seg.inference.compute.predictor import Predictor
from seg.inference.planning.fitting import fit_scene
from seg.inference.planning.units import _windows, is_other_unit
from seg.inference.settings import PredictionSettings
from seg.package.description import ModelPackage

MEAN, STD = (1000.0, 900.0, 2800.0), (400.0, 500.0, 900.0)
"""Green, red and near infrared as reflectance times 10000."""


@pytest.mark.parametrize(
    ("factor", "dtype", "mean", "std"),
    [
        (1e-4, "float32", MEAN, STD),
        (0.05, "uint8", MEAN, STD),
        (1, "uint16", [value / 1e4 for value in MEAN], [value / 1e4 for value in STD]),
        (1, "uint16", (90.0, 80.0, 110.0), (40.0, 50.0, 60.0)),
    ],
    ids=["reflectance", "bytes", "model-of-reflectance", "model-of-bytes"],
)
def test_another_unit_is_recognised(
    tiny_package: ModelPackage, factor: float, dtype: str, mean: tuple[float, ...], std: tuple[float, ...]
) -> None:
    values = np.random.default_rng(0).normal(MEAN, np.divide(STD, 3), (500, 3)).T * factor
    assert is_other_unit(values, replace(tiny_package, mean=tuple(mean), std=tuple(std)), dtype)


@pytest.mark.parametrize(
    ("ground", "dtype"),
    [
        ((1000, 900, 2800), "uint16"),
        ((9500, 9500, 9800), "uint16"),
        ((400, 200, 100), "uint16"),
        ((1000, 900, 0), "int16"),
    ],
    ids=["fields", "cloud", "water", "dead-band"],
)
def test_clouds_water_and_a_dead_band_are_not_another_unit(
    tiny_package: ModelPackage, ground: tuple[float, ...], dtype: str
) -> None:
    values = np.random.default_rng(0).normal(ground, 20, (500, 3)).T
    assert not is_other_unit(values, replace(tiny_package, mean=MEAN, std=STD), dtype)


def test_a_model_without_statistics_accepts_any_unit(tiny_package: ModelPackage) -> None:
    package = replace(tiny_package, mean=(0.0,) * 3, std=(1.0,) * 3)
    assert not is_other_unit(np.full((3, 500), 5000.0), package, "uint16")


def test_a_scene_in_another_unit_is_refused_unless_accepted(
    make_scene: Callable[..., Path], make_predictor: Callable[..., Predictor]
) -> None:
    scene = make_scene(70, 200, dtype="float32")
    with rasterio.open(scene, "r+") as dataset:
        dataset.write(dataset.read() / 10000)
    with pytest.raises(PackageError, match=r"scene\.tif: has band medians of 0\.\d.*means of 1000, .*--any-unit=true"):
        fit_scene(scene, make_predictor(), PredictionSettings())
    fit_scene(scene, make_predictor(), PredictionSettings(any_unit=True))


def made(make_predictor: Callable[..., Predictor], offset: float) -> Predictor:
    """A predictor of a model whose training images have this offset."""
    predictor = make_predictor()
    package = replace(predictor.members[0].package, scales=(0.0001,) * 3, offsets=(offset,) * 3)
    return Predictor([replace(predictor.members[0], package=package)], predictor.augmentation, False)


def test_another_offset_than_in_training_is_refused_unless_accepted(
    make_scene: Callable[..., Path], make_predictor: Callable[..., Predictor]
) -> None:
    scene = make_scene(20, 20)
    with rasterio.open(scene, "r+") as dataset:
        dataset.scales, dataset.offsets = [0.0001] * 3, [-0.1] * 3
    fit_scene(scene, make_predictor(), PredictionSettings())
    fit_scene(scene, made(make_predictor, -0.1), PredictionSettings())
    older = made(make_predictor, 0.0)
    with pytest.raises(PackageError, match=r"offsets of -0\.1.*trained on .*offsets of 0, .*--any-unit=true"):
        fit_scene(scene, older, PredictionSettings())
    fit_scene(scene, older, PredictionSettings(any_unit=True))


def test_fill_and_damage_do_not_stop_the_comparison(
    make_scene: Callable[..., Path], make_predictor: Callable[..., Predictor]
) -> None:
    empty = make_scene(70, 200)
    with rasterio.open(empty, "r+") as dataset:
        dataset.write(np.zeros((3, 70, 200), np.uint16))
    fit_scene(empty, make_predictor(), PredictionSettings())
    cut = make_scene(300, 200, name="cut.tif")
    cut.write_bytes(cut.read_bytes()[:100_000])
    fit_scene(cut, make_predictor(), PredictionSettings())


@pytest.mark.parametrize("tile", [(256, 256), (64, 128), (1, 1000), (16, 16)])
def test_sampled_windows_lie_within_the_scene_and_within_one_tile_if_that_is_large(tile: tuple[int, int]) -> None:
    windows = list(_windows((3000, 1000), tile))
    assert len(windows) == 16
    for window in windows:
        for start, side, length in ((window.row_off, tile[0], 3000), (window.col_off, tile[1], 1000)):
            assert 0 <= start <= length - 64
            assert side < 64 or start // side == (start + 63) // side
    assert all((window.height, window.width) == (40, 64) for window in _windows((40, 200), (40, 64)))
