from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
import yaml

from seg.errors import ConfigError, PackageError
from seg.inference.screening.applying import cell_scores
from seg.inference.screening.features import CELL, FEATURES, cell_counts, coarse_indices
from seg.package.checkpoint import read_checkpoint
from seg.package.read import read_package
from seg.package.screener import read_screener, screener_of
from seg.package.write import write_package
from seg.training.cell_data import CROPPED, KNOWN, LABELLED, CellDataModule
from seg.training.checkpoints.atomic_io import AtomicCheckpointIO
from seg.training.checkpoints.exact_resume import ExactResume, SeedBatches
from seg.training.checkpoints.saving import LastCheckpoint
from seg.training.tasks.screen import PerceptronConfig, ScreenTask
from support.commands import assert_mistake, run_command
from support.packages import write_tiny_package
from support.resume_runs import KillAt, Killed, content, differences
from support.screeners import write_half_green, write_screened_package
from support.training import quiet_trainer

SIDE = 12 * CELL


@pytest.fixture(scope="module")
def dataset(write_raster: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten scenes of bare ground whose upper part has plants, which are cropland."""
    root = tmp_path_factory.mktemp("cells")
    (root / "images").mkdir()
    for number in range(10):
        green = slice(0, (number % 3 + 1) * 2 * CELL), slice(None)
        write_half_green(root / "images" / f"{number}.tif", SIDE, SIDE, green)
        mask = np.zeros((SIDE, SIDE), np.uint8)
        mask[green] = 1
        mask[:, -CELL:] = 255
        with rasterio.open(root / "images" / f"{number}.tif") as image:
            place = {"crs": image.crs, "transform": image.transform}
        write_raster(root / "masks" / f"{number}.tif", mask, **place)
    return root


@pytest.fixture(scope="module")
def run(dataset: Path) -> Path:
    """Folder of a run of thirty epochs; its configuration lies beside it."""
    configuration = {
        "task": "screen",
        "data": {"root": str(dataset), "batch_cells": 144},
        "model": {"model": {"hidden": [8]}, "alpha": 0.03, "optimizer": {"learning_rate": 0.02}},
        "tracking": {"tensorboard": False},
        "trainer": {"default_root_dir": str(dataset / "run"), "max_epochs": 30, "accelerator": "cpu"},
    }
    (dataset / "config.yaml").write_text(yaml.safe_dump(configuration))
    ran = run_command("train fit", f"--config={dataset / 'config.yaml'}")
    assert ran.status == 0, ran.err
    return dataset / "run"


def test_layers_of_a_scene_count_labels_by_cell(dataset: Path) -> None:
    data = CellDataModule(root=dataset)
    data.setup("fit")
    batch = next(iter(data.val_dataloader()))
    layers = batch["image"][0]
    assert layers.shape == (FEATURES + 4, 12, 12)
    assert (layers[LABELLED, :, :-1] == CELL**2).all()
    assert not layers[LABELLED, :, -1].any()
    assert (layers[KNOWN] == 1).all()
    assert batch["mask"][0, :, 0].tolist() == (layers[CROPPED, :, 0] > 0).int().tolist()
    assert 0.1 < data.otsu[1] < 0.4  # between bare ground at 0 and plants at 0.38
    assert data.places == (0, 1, 2)


def test_a_run_logs_its_loss_and_keeps_only_the_last_checkpoint(run: Path) -> None:
    columns = (run / "metrics.csv").read_text().splitlines()[0].split(",")
    assert {"train/loss", "val/loss", "val/screened", "val/lost"} <= set(columns)
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["last.ckpt"]


def test_the_screener_of_a_run_screens_bare_ground_within_the_risk(run: Path, dataset: Path) -> None:
    screener = screener_of(read_checkpoint(run / "checkpoints" / "last.ckpt"))
    assert screener.alpha == 0.03
    assert screener.scenes == 2
    assert screener.screened > 0.2
    assert screener.lost <= 0.03
    with rasterio.open(dataset / "images" / "7.tif") as image:
        pixels = image.read().astype(np.float32)
    counts = cell_counts(*coarse_indices(pixels, np.ones((SIDE, SIDE), bool), screener.places), screener.otsu)
    screened = cell_scores(screener, counts) <= screener.cut
    assert not screened[:4].any()
    assert screened[-4:].mean() > 0.9


def test_a_package_keeps_the_screener_of_a_run(run: Path, tmp_path: Path) -> None:
    package = write_screened_package(tmp_path / "model")
    before = read_package(package)
    checkpoint = run / "checkpoints" / "last.ckpt"
    ran = run_command("export", f"--output={package}", f"--screener={checkpoint}")
    assert ran.status == 0, ran.err
    assert "screener added; at most 0.03 of the cropland is expected in screened cells" in ran.out
    after = read_package(package)
    assert after.weights_sha256 == before.weights_sha256
    assert after.screener_sha256 != before.screener_sha256
    found, wanted = read_screener(package, after), screener_of(read_checkpoint(checkpoint))
    assert found is not None
    assert (found.cut, found.otsu, found.places, found.limit) == (wanted.cut, wanted.otsu, wanted.places, wanted.limit)
    for one, other in zip(found.layers, wanted.layers, strict=True):
        np.testing.assert_array_equal(one[0], other[0])


def test_a_package_of_other_bands_refuses_the_screener(run: Path, tmp_path: Path) -> None:
    package = write_tiny_package(tmp_path / "model")
    ran = run_command("export", f"--output={package}", f"--screener={run / 'checkpoints' / 'last.ckpt'}")
    assert_mistake(ran, "was trained on the bands green, red, nir", "takes red, green, blue")


def test_a_checkpoint_of_a_screener_cannot_map(run: Path, tmp_path: Path) -> None:
    checkpoint = run / "checkpoints" / "last.ckpt"
    with pytest.raises(PackageError, match="--screener="):
        write_package(read_checkpoint(checkpoint), tmp_path / "model")
    ran = run_command("train validate", f"--ckpt_path={checkpoint}", f"--data.root={tmp_path}")
    assert ran.status == 2
    assert "--task=screen" in ran.err


def test_a_scene_without_the_three_bands_is_a_mistake(make_dataset: Callable[..., Path], tmp_path: Path) -> None:
    root = make_dataset(tmp_path / "data")
    ran = run_command("train fit", "--task=screen", f"--data.root={root}", f"--trainer.default_root_dir={tmp_path}/run")
    assert_mistake(ran, "near infrared", "--data.index_bands=")


def test_impossible_numbers_are_refused(dataset: Path) -> None:
    with pytest.raises(ConfigError, match=r"model\.alpha"):
        ScreenTask(alpha=0)
    with pytest.raises(ConfigError, match=r"model\.model\.hidden"):
        PerceptronConfig(hidden=(8, 0))
    with pytest.raises(ConfigError, match=r"data\.batch_cells"):
        CellDataModule(root=dataset, batch_cells=0)


def _train(root: Path, folder: Path, resumed: Path | None = None, kill_at: int | None = None) -> Path:
    """Train for two epochs of eight steps, and return the last checkpoint."""
    torch.manual_seed(0 if resumed is None else 1)
    data = CellDataModule(root=root, batch_cells=144)
    task = ScreenTask(model=PerceptronConfig(hidden=(4,)), alpha=0.05)
    task.fill_normalization(data.statistics.mean, data.statistics.std)
    stop = [] if kill_at is None else [KillAt(kill_at)]
    callbacks = [ExactResume(), SeedBatches(0), *stop, LastCheckpoint(dirpath=str(folder), every_steps=1)]
    trainer = quiet_trainer(callbacks, enable_checkpointing=True, plugins=[AtomicCheckpointIO()], max_epochs=2)
    with suppress(Killed):
        trainer.fit(task, data, ckpt_path=resumed, weights_only=True if resumed else None)
    return folder / "last.ckpt"


def test_a_killed_training_resumes_to_the_same_weights(dataset: Path, tmp_path: Path) -> None:
    whole = _train(dataset, tmp_path / "whole")
    killed = _train(dataset, tmp_path / "killed", kill_at=11)
    assert differences(content(whole), content(killed))
    resumed = _train(dataset, tmp_path / "killed", resumed=killed)
    assert differences(content(whole), content(resumed)) == []
    calibrations = [torch.load(path, weights_only=True)["calibration"] for path in (whole, resumed)]
    assert calibrations[0] == calibrations[1]
