"""The samples of an epoch are bit-identical for any number of workers and after resuming."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from seg.data.augmentation.mixing import MixingConfig
from seg.data.augmentation.pipeline import AugmentationConfig
from seg.data.datamodule import CroplandDataModule
from seg.data.loading.batching import EpochSampler
from seg.data.loading.loader import Batching, WatchedLoader, build_loader
from seg.data.samples.chips import ChipConfig
from support.samples import OneAfterAnother
from support.training import quiet_trainer

EPOCHS = 3
AUGMENTATION = AugmentationConfig(gain=0.1, noise=0.1, scale=0.5, rotation=20, haze=0.5, shadow=0.5, band_dropout=0.1)
CHIPS: dict[str, Any] = {
    "chips": ChipConfig(size=8, per_epoch=12, sampling="cropland"),
    "mixing": MixingConfig(cut_mix=0.4, mosaic=0.4),
    "batch_pixels": 2 * 8 * 8,
}
CAMPAIGN = pytest.mark.campaign
PADDED: dict[str, Any] = {"batch_pixels": 800, "pad_batches": True}

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:This DataLoader will create . worker processes"
    ),  # warning on a machine with few cores
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:You passed in a `val_dataloader` but have no"),
]


class Recorder(L.LightningModule):
    """Task that records the epoch, the scene names and a digest of pixels and labels of each batch."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, list[str], str]] = []
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def training_step(self, batch: dict[str, Any]) -> torch.Tensor:
        content = hashlib.sha256(batch["image"].numpy().tobytes() + batch["mask"].numpy().tobytes())
        self.seen.append((self.current_epoch, batch["name"], content.hexdigest()))
        return self.weight.sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=1)


def train(
    root: Path, folder: Path, workers: int, settings: dict[str, Any], resumed: Path | None = None
) -> list[tuple[int, list[str], str]]:
    """Train with a checkpoint after each epoch, and return the recorded batches."""
    data = CroplandDataModule(root=root, seed=5, workers=workers, augmentation=AUGMENTATION, **settings)
    recorder = Recorder()
    keep = ModelCheckpoint(folder, "{epoch}", save_top_k=-1, save_on_train_epoch_end=True)
    trainer = quiet_trainer([keep], max_epochs=EPOCHS, enable_checkpointing=True, limit_val_batches=0)
    trainer.fit(recorder, data, ckpt_path=resumed, weights_only=True if resumed else None)
    return recorder.seen


def loaded(loader: WatchedLoader) -> list[tuple[list[str], bytes, bytes]]:
    """Names, pixels and labels of the second epoch."""
    loader.batch_sampler.sampler.set_epoch(1)
    return [(batch["name"], batch["image"].numpy().tobytes(), batch["mask"].numpy().tobytes()) for batch in loader]


@pytest.mark.parametrize("workers", [2, pytest.param(1, marks=CAMPAIGN), pytest.param(4, marks=CAMPAIGN)])
def test_samples_do_not_depend_on_the_number_of_workers(
    make_dataset: Callable[..., Path], tmp_path: Path, workers: int
) -> None:
    root = make_dataset(tmp_path / "data")
    modules = [CroplandDataModule(root=root, augmentation=AUGMENTATION, **settings) for settings in (CHIPS, {})]
    # One loader for chips and whole scenes, since workers take seconds to start.
    samples = OneAfterAnother([module.train_dataloader().dataset.examples for module in modules])
    none, several = (
        loaded(build_loader(samples, Batching(EpochSampler(len(samples), 5)), count)) for count in (0, workers)
    )
    assert len({pixels for _, pixels, _ in none}) == len(samples)
    assert none == several


@pytest.mark.parametrize(
    ("settings", "workers"),
    [pytest.param(CHIPS, 1, marks=CAMPAIGN), ({}, 0), (PADDED, 0)],
    ids=["chips", "scenes", "padded"],
)
def test_a_resumed_training_has_the_samples_of_an_uninterrupted_one(
    make_dataset: Callable[..., Path], tmp_path: Path, settings: dict[str, Any], workers: int
) -> None:
    root = make_dataset(tmp_path / "data")
    whole = train(root, tmp_path / "whole", 0, settings)
    assert {epoch for epoch, _, _ in whole} == set(range(EPOCHS))
    assert len({digest for _, _, digest in whole}) == len(whole)

    resumed = train(root, tmp_path / "resumed", workers, settings, resumed=tmp_path / "whole" / "epoch=0.ckpt")
    assert resumed == [sample for sample in whole if sample[0] >= 1]
