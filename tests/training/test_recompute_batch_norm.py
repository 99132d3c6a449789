from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging
from torch import Tensor, nn
from torch.utils.data import DataLoader

from seg.training.batch_norm import RecomputeBatchNorm, recompute


class TinyTask(L.LightningModule):
    """Notes the statistics that each validation uses."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(1)
        self.dropout = nn.Dropout(0.9)
        self.means: list[float] = []
        self.expected: list[float] = []

    def forward(self, image: Tensor) -> Tensor:
        out: Tensor = self.norm(self.dropout(self.first(image)))
        return out

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        loss: Tensor = (self(batch["image"]) - 1).square().mean()
        return loss

    def on_validation_start(self) -> None:
        assert not self.training

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        if batch_idx == 0:
            self.means.append(float(self.norm.running_mean))
            self.expected.append(float(self.first(IMAGES).mean()))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


IMAGES = torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(0)) + 3


class Images(L.LightningDataModule):
    def train_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        return DataLoader([{"image": image} for image in IMAGES])

    val_dataloader = train_dataloader


def fit(folder: Path, callbacks: list[L.Callback], **arguments: int) -> TinyTask:
    task = TinyTask()
    trainer = L.Trainer(
        callbacks=callbacks,
        default_root_dir=folder,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **arguments,
    )
    trainer.fit(task, datamodule=Images())
    trainer.save_checkpoint(folder / "end.ckpt")
    return task


def close(a: float, b: float) -> bool:
    return abs(a - b) < 1e-4


def test_the_last_validation_alone_uses_the_statistics_of_the_training_split(tmp_path: Path) -> None:
    task = fit(tmp_path, [RecomputeBatchNorm()], max_epochs=3)

    assert [close(*pair) for pair in zip(task.means, task.expected, strict=True)] == [False, False, True]


def test_a_number_of_steps_ends_a_training_too(tmp_path: Path) -> None:
    task = fit(tmp_path, [RecomputeBatchNorm()], max_epochs=-1, max_steps=5)

    assert close(task.means[-1], task.expected[-1])


def test_averaged_weights_get_statistics_of_their_own_and_a_checkpoint_keeps_them(tmp_path: Path) -> None:
    task = fit(tmp_path, [EMAWeightAveraging(decay=0.5), RecomputeBatchNorm()], max_epochs=2)

    assert close(task.means[-1], task.expected[-1])
    saved = torch.load(tmp_path / "end.ckpt", weights_only=True)["state_dict"]
    assert close(float(saved["norm.running_mean"]), float((saved["first.weight"] * IMAGES).mean()))


def test_modes_and_momentum_are_left_as_they_were() -> None:
    network = nn.Sequential(nn.BatchNorm2d(1, momentum=0.3), nn.Dropout(0.5)).eval()

    recompute(network, IMAGES.split(1))

    assert network[0].momentum == 0.3
    assert not any(layer.training for layer in network.modules())
    assert close(float(network[0].running_mean), float(IMAGES.mean()))
