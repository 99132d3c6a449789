from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch

from seg.models.build import build_model
from seg.models.config import ModelConfig
from seg.package.checkpoint import Checkpoint
from seg.package.write import write_package
from support.commands import assert_mistake, run_command

WriteRaster = Callable[..., Path]


def write_model(folder: Path, seed: int, bands: int = 3) -> Path:
    """A package of a tiny network for some bands at 10 m."""
    config = ModelConfig(encoder="dilated_tiny", output_stride=2, decoder_channels=(8,))
    torch.manual_seed(seed)
    network = build_model(config, bands)
    network.normalization.fill([100.0 + seed] * bands, [10.0] * bands)
    task = {"bands": bands, "model": config.arguments(), "threshold": 0.5}
    data = {
        "bands": list(range(1, bands + 1)),
        "image_bands": bands,
        "band_names": [""] * bands,
        "nodata": None,
        "pixel_size_m": 10.0,
    }
    write_package(Checkpoint(Path("best.ckpt"), network.state_dict(), task, data, {}), folder)
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("models")
    return [
        write_model(folder / name, seed, bands) for seed, (name, bands) in enumerate([("a", 3), ("b", 3), ("c", 2)])
    ]


@pytest.fixture
def scene(tmp_path: Path, write_raster: WriteRaster) -> Path:
    return write_raster(
        tmp_path / "scene.tif", np.random.default_rng(0).integers(50, 150, (3, 90, 110)).astype(np.uint16)
    )


def test_models_are_given_one_after_another_or_as_a_list(models: list[Path], scene: Path, tmp_path: Path) -> None:
    one, two, _ = models
    maps = []
    for named, output in ((["--model", one, two], "words.tif"), ([f"--model=[{one},{two}]"], "list.tif")):
        words = [*named, "--input", scene, "--output", tmp_path / output, "--backend=torch", "--device=cpu"]
        status, out, err = run_command("predict", *words)
        assert (status, err) == (0, "")
        assert "averaging 1 view of 2 models, at the cost of 2 plain predictions" in out
        assert "threshold 0.5, the mean of the models' thresholds" in out
        with rasterio.open(tmp_path / output) as dataset:
            assert len(dataset.tags()["SEG_MODEL"].split(", ")) == 2
            maps.append(dataset.read())
    np.testing.assert_array_equal(*maps)


def test_uncertainty_and_turns_are_options(models: list[Path], scene: Path, tmp_path: Path) -> None:
    words = ["--model", models[0], "--input", scene, "--output", tmp_path / "map.tif", "--backend=torch"]
    status, out, _ = run_command(
        "predict",
        *words,
        "--device=cpu",
        "--tta.dihedral=[identity,transpose]",
        "--tta.scales=[1,0.5]",
        "--uncertainty",
    )
    assert status == 0
    assert "averaging 4 views of 1 model, at the cost of 2.5 plain predictions" in out
    assert (
        f"{tmp_path / 'map_uncertainty.tif'}: standard deviation, 100 for 0.5 (the largest possible), 255 nodata" in out
    )
    assert (tmp_path / "map_uncertainty.tif").is_file()


MISTAKES = [
    (["--tta.dihedral=[rot90,rot45]"], "tta.dihedral has rot45; wanted true, false, or some of identity"),
    (["--tta.dihedral=rot45"], "tta.dihedral has rot45; wanted"),
    (["--tta.dihedral=[rot90,rot90]"], "tta.dihedral is rot90, rot90; wanted each turn once"),
    (["--tta.scales=[1,1]"], "tta.scales is [1.0, 1.0], rounded to 1, 1; wanted each scale once"),
    (["--uncertainty"], "one view of one model"),
]


@pytest.mark.parametrize(("options", "message"), MISTAKES)
def test_a_mistake_is_reported_in_one_line_with_exit_status_2(
    models: list[Path], scene: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    words = ["--model", models[0], "--input", scene, "--output", tmp_path / "map.tif", "--backend=torch", *options]
    assert_mistake(run_command("predict", *words, "--device=cpu"), message)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [((0, 0), "has the same weights as"), ((0, 2), "takes 2 bands, but"), ((0, None), "no such file")],
)
def test_models_that_cannot_be_averaged_are_refused_in_one_line(
    models: list[Path], scene: Path, tmp_path: Path, chosen: tuple[int, int | None], message: str
) -> None:
    named = [tmp_path / "none" if index is None else models[index] for index in chosen]
    ran = run_command("predict", "--model", *named, "--input", scene, "--output", tmp_path / "map.tif")
    assert_mistake(ran, message)
