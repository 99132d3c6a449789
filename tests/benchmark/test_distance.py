import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from seg.benchmark.distance import Shifted, compare_distances, rank_correlation, shifts
from seg.benchmark.settings import DistanceSettings
from seg.package.features import add_features, describe_features
from seg.package.read import read_package
from support.commands import assert_mistake, run_command
from support.packages import copy_by_scene, write_tiny_package


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, make_dataset: Callable[..., Path]) -> Path:
    """A package with described features, and a dataset."""
    folder = tmp_path_factory.mktemp("distance")
    make_dataset(folder / "data", sizes=((48, 40), (40, 48)))
    write_tiny_package(folder / "model")
    patches = np.random.default_rng(0).normal(size=(6, 4, 8))
    add_features(folder / "model", describe_features(list(patches)))
    return folder


def test_the_command_measures_every_shift_and_other_datasets(folder: Path, tmp_path: Path) -> None:
    words = f"--model={folder / 'model'}", f"--root={folder / 'data'}", f"--others=[{folder / 'data'}]", "--folds=2"
    ran = run_command("benchmark distance", *words, f"--output={tmp_path / 'found.json'}")
    assert (ran.status, ran.err) == (0, "")
    found = json.loads((tmp_path / "found.json").read_text())
    names = [one["name"] for one in found["shifts"]]
    assert (len(names), names[0], names[-1]) == (25, "none", str(folder / "data"))
    assert all(one["distance"] > 0 and 0 <= one["iou"] <= 1 for one in found["shifts"])
    assert found["shifts"][0] != found["shifts"][5]
    assert "rank correlation over 24 shifts" in ran.out


def test_linear_shifts_do_not_change_a_model_that_normalises_scenes(folder: Path, tmp_path: Path) -> None:
    model = copy_by_scene(folder / "model", tmp_path / "by_scene")
    found = {one.name: one for one in compare_distances(DistanceSettings(model=model, root=folder / "data", folds=2))}
    assert found["gain 2.2"].distance == pytest.approx(found["none"].distance, rel=1e-4)
    assert found["noise 1 deviations"].distance != pytest.approx(found["none"].distance, rel=1e-4)


def test_haze_falls_over_the_bands(folder: Path) -> None:
    package = read_package(folder / "model")
    change = shifts(package)["haze 1 deviations"](np.zeros((3, 2, 2), np.float32))
    assert change[:, 0, 0].tolist() == pytest.approx([10, 20 / 3, 10 / 3])


def test_the_correlation_compares_the_order_of_distances_and_losses() -> None:
    plain = Shifted("none", 1.0, False, 0.8, 0.8)
    shifted = [Shifted(str(by), 1.0 + by, False, 0.8 - by**3, 0.8 + by) for by in (0.1, 0.4, 0.2)]
    assert rank_correlation([plain, *shifted], "iou") == pytest.approx(1)
    assert rank_correlation([plain, *shifted], "mean_iou") == pytest.approx(-1)


def test_a_model_without_described_features_is_refused(folder: Path, tmp_path: Path) -> None:
    model = write_tiny_package(tmp_path / "model")
    ran = run_command("benchmark distance", f"--model={model}", f"--root={folder / 'data'}")
    assert_mistake(ran, str(model), "does not describe the features", "export it again with --data")
