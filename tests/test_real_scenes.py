"""The pipeline on real imagery; the tests are skipped if the scenes are missing."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from rasterio.windows import Window

from seg.data.datamodule import CroplandDataModule
from seg.inference.augmentation import TestTimeAugmentation
from seg.inference.compute.member import Member
from seg.inference.compute.predictor import Predictor
from seg.inference.compute.torch_backend import TorchBackend
from seg.inference.scene import predict_scene
from seg.inference.settings import ComputeSettings, PredictionSettings
from seg.labels import CROPLAND, IGNORE
from seg.models.build import build_model
from seg.package.checkpoint import Checkpoint
from seg.package.write import write_package
from seg.raster.chips import Reading, read_chip
from seg.raster.grid import open_raster, read_grid, require_same_grid
from seg.raster.windows import window_grid
from support.networks import TINY_NETWORK
from support.project import SCENES


def scenes(name: str) -> Path:
    """A dataset folder of real scenes."""
    if not (SCENES / name).is_dir():
        pytest.skip(f"no folder {name} in the scenes; set CROPLAND_SEG_SCENES to the folder that holds it")
    return SCENES / name


@pytest.mark.parametrize(
    ("name", "bands", "count", "share"), [("preligens_s2glc", 4, 104, 0.349), ("dk_lpis_s2", 3, 1, 0.756)]
)
def test_a_folder_of_images_and_masks_is_a_dataset(name: str, bands: int, count: int, share: float) -> None:
    data = CroplandDataModule(root=scenes(name), fold=0, folds=max(min(count, 5), 1))
    assert (data.band_count, len(data.scenes)) == (bands, count)
    assert len(data.held_out_scenes) == -(-count // 5)
    pixels = cropland = 0
    for scene in data.scenes:
        with rasterio.open(scene.mask) as dataset:
            mask = dataset.read(1)
        pixels += int((mask != IGNORE).sum())
        cropland += int((mask == CROPLAND).sum())
    assert cropland / pixels == pytest.approx(share, abs=1e-3)


def test_sentinel_2_tiles_are_loaded_unchanged() -> None:
    data = CroplandDataModule(root=scenes("preligens_s2glc"), fold=0)
    data.setup("fit")
    example = data.val_dataloader().dataset[0]
    assert example["image"].shape == (4, 256, 256)
    assert example["image"].dtype == torch.float32
    assert data.statistics.count == len(data.training_scenes) * 256 * 256
    assert data.state_dict()["band_names"] == ["red", "green", "blue", "nir"]
    assert data.state_dict()["pixel_size_m"] is None


def test_the_empty_corner_of_a_landsat_scene_stays_empty(tmp_path: Path, write_raster: Callable[..., Path]) -> None:
    path = scenes("landsat8_parana_sparse") / "images" / "LC08_224078_20200518.tif"
    with rasterio.open(path) as dataset:
        window = Window(0, 0, 400, 500)
        pixels, transform = dataset.read(window=window), dataset.window_transform(window)
        corner = write_raster(tmp_path / "corner.tif", pixels, crs=dataset.crs, transform=transform)
    empty = (pixels == 0).any(axis=0)
    assert 0.1 < empty.mean() < 0.9
    model = small_model(tmp_path / "model", pixels, ~empty)
    settings = PredictionSettings(block_size=128, halo=32, nodata=0)
    maps = predict_scene(corner, tmp_path / "map.tif", model, settings, lambda plan, done: None)
    for output in (maps.classes, maps.probability):
        require_same_grid(read_grid(output), read_grid(corner))
        with rasterio.open(output) as dataset:
            np.testing.assert_array_equal(dataset.read(1) == IGNORE, empty)


def small_model(folder: Path, pixels: np.ndarray, valid: np.ndarray) -> Predictor:
    """A predictor with random weights and the statistics of a scene."""
    network = build_model(TINY_NETWORK, bands=len(pixels))
    network.normalization.fill(pixels[:, valid].mean(axis=1).tolist(), pixels[:, valid].std(axis=1).tolist())
    task = {"bands": len(pixels), "model": TINY_NETWORK.arguments(), "threshold": 0.5}
    names = ["red", "green", "blue"]
    data = {"bands": [1, 2, 3], "image_bands": 3, "band_names": names, "nodata": None, "pixel_size_m": 30.0}
    package = write_package(Checkpoint(Path("best.ckpt"), network.state_dict(), task, data, {}), folder)
    return Predictor(
        [Member(TorchBackend(folder, package, ComputeSettings(device="cpu")), package)], TestTimeAugmentation()
    )


@pytest.mark.parametrize("name", ["preligens_s2glc", "dk_lpis_s2", "landsat8_parana_sparse"])
def test_no_real_measurement_counts_as_an_undeclared_void(name: str) -> None:
    for path in sorted((scenes(name) / "images").iterdir())[:20]:
        with open_raster(path) as dataset:
            for window in window_grid(dataset.height, dataset.width, 512, 512):
                read_chip(dataset, window, Reading(dataset.indexes, [0.0] * dataset.count))
