from pathlib import Path

import numpy as np
import pytest
import torch

from seg.errors import PackageError
from seg.models.build import build_model
from seg.package.checkpoint import Checkpoint
from seg.package.description import FEATURES
from seg.package.features import add_features, describe_features, read_features
from seg.package.read import read_package
from seg.package.write import write_package
from support.networks import TINY_NETWORK


def windows(count: int, features: int = 6, seed: int = 0) -> list[np.ndarray]:
    """Windows of 16 correlated vectors whose features have different means and scales."""
    random = np.random.default_rng(seed)
    mixing = np.random.default_rng(9).normal(size=(features, features))
    return [random.normal(size=(16, features)) @ mixing + 10 * np.arange(features) for _ in range(count)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    model = build_model(TINY_NETWORK, bands=2)
    data = {"bands": [1, 2], "image_bands": 2, "band_names": ["", ""], "nodata": None, "pixel_size_m": None}
    task = {"bands": 2, "model": TINY_NETWORK.arguments(), "threshold": 0.5}
    write_package(Checkpoint(Path("best.ckpt"), model.state_dict(), task, data, {}), tmp_path / "model")
    return tmp_path / "model"


def test_windows_of_the_training_images_lie_at_a_distance_of_about_1() -> None:
    known = describe_features(windows(40))
    new = [known.window_distance(window) for window in windows(20, seed=1)]
    assert np.mean(new) == pytest.approx(1, abs=0.1)
    assert np.mean(known.distances) == pytest.approx(np.mean(new), abs=0.05)


def test_distance_follows_the_covariance() -> None:
    random = np.random.default_rng(0)
    scales = np.array([1.0, 100.0])
    known = describe_features([random.normal(size=(64, 2)) * scales for _ in range(10)])
    moved = known.patch_distances(np.array([[10.0, 0.0], [0.0, 10.0]]))
    assert moved[0] == pytest.approx(10 / 2**0.5, rel=0.1)
    assert moved[1] < 0.2


def test_limit_is_the_99th_percentile_of_the_training_windows() -> None:
    known = describe_features(windows(200))
    assert (known.distances > known.limit).mean() == pytest.approx(0.01, abs=0.006)
    assert known.share_nearer(known.limit) == pytest.approx(0.99, abs=0.006)
    assert (known.share_nearer(0.0), known.share_nearer(99.0)) == (0, 1)


def test_fewer_patches_than_features_suffice() -> None:
    known = describe_features([window[:1] for window in windows(4, features=30)])
    assert np.isfinite(known.distances).all()
    assert known.window_distance(windows(1, features=30)[0] + 1000) > known.limit


def test_a_constant_feature_is_accepted() -> None:
    constant = windows(10)
    for window in constant:
        window[:, 2] = 5.0
    assert np.isfinite(describe_features(constant).distances).all()


def test_one_window_is_too_few() -> None:
    with pytest.raises(ValueError, match="wanted at least 2"):
        describe_features(windows(1))


def test_a_package_keeps_the_description(folder: Path) -> None:
    assert read_features(folder, read_package(folder)) is None
    known = describe_features(windows(10))
    add_features(folder, known)
    found = read_features(folder, read_package(folder))
    assert found is not None
    [window] = windows(1, seed=3)
    assert found.window_distance(window) == pytest.approx(known.window_distance(window), rel=1e-4)
    assert found.limit == pytest.approx(known.limit)


@pytest.mark.parametrize("damage", ["missing", "changed"])
def test_a_damaged_description_is_refused(folder: Path, damage: str) -> None:
    package = add_features(folder, describe_features(windows(10)))
    if damage == "missing":
        (folder / FEATURES).unlink()
    else:
        (folder / FEATURES).write_bytes((folder / FEATURES).read_bytes()[:-1] + b"x")
    with pytest.raises(PackageError, match=r"features\.safetensors"):
        read_features(folder, package)
