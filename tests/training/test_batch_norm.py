from itertools import pairwise
from pathlib import Path

import lightning as L
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from seg.errors import ConfigError
from seg.training.batch_norm import FreezeBatchNorm


class TinyTask(L.LightningModule):
    """Notes the running mean and the scale at the end of each training epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.Conv2d(2, 1, 1))
        self.running_means: list[Tensor] = []
        self.scales: list[Tensor] = []

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        loss: Tensor = (self.network(batch) - 1).square().mean()
        return loss

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self.network(batch)

    def on_train_epoch_end(self) -> None:
        norm = self.network[1]
        self.running_means.append(norm.running_mean.clone())
        self.scales.append(norm.weight.detach().clone())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(callback: FreezeBatchNorm, folder: Path, epochs: int, checkpoint: Path | None = None) -> TinyTask:
    task = TinyTask()
    images = DataLoader(torch.randn(4, 1, 3, 3, generator=torch.Generator().manual_seed(0)))
    trainer = L.Trainer(
        max_epochs=epochs,
        callbacks=[callback],
        default_root_dir=folder,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(task, images, images, ckpt_path=checkpoint, weights_only=True)
    trainer.save_checkpoint(folder / "end.ckpt")
    return task


def changes(values: list[Tensor]) -> list[bool]:
    return [not torch.equal(before, after) for before, after in pairwise(values)]


def test_running_statistics_change_before_the_point_but_not_after_it(tmp_path: Path) -> None:
    task = fit(FreezeBatchNorm(after=0.5), tmp_path, epochs=4)

    assert changes(task.running_means) == [True, False, False]


def test_scales_go_on_training_after_the_point(tmp_path: Path) -> None:
    task = fit(FreezeBatchNorm(after=0.5), tmp_path, epochs=4)

    assert all(changes(task.scales))


def test_a_share_of_1_never_freezes(tmp_path: Path) -> None:
    task = fit(FreezeBatchNorm(after=1.0), tmp_path, epochs=3)

    assert changes(task.running_means) == [True, True]


def test_a_share_of_0_freezes_from_the_first_step(tmp_path: Path) -> None:
    task = fit(FreezeBatchNorm(after=0.0), tmp_path, epochs=1)

    assert torch.equal(task.running_means[0], torch.zeros(2))


def test_a_run_resumed_after_the_point_trains_with_frozen_statistics(tmp_path: Path) -> None:
    first = fit(FreezeBatchNorm(after=1.0), tmp_path, epochs=2)

    resumed = fit(FreezeBatchNorm(after=0.5), tmp_path, epochs=4, checkpoint=tmp_path / "end.ckpt")

    assert changes([first.running_means[-1], *resumed.running_means]) == [False, False]
    assert all(changes([first.scales[-1], *resumed.scales]))


def test_a_run_resumed_before_the_point_updates_statistics_until_it(tmp_path: Path) -> None:
    first = fit(FreezeBatchNorm(after=1.0), tmp_path, epochs=1)

    resumed = fit(FreezeBatchNorm(after=0.5), tmp_path, epochs=4, checkpoint=tmp_path / "end.ckpt")

    assert changes([first.running_means[-1], *resumed.running_means]) == [True, False, False]


@pytest.mark.parametrize("after", [-0.1, 1.1])
def test_a_share_out_of_range_is_refused(after: float) -> None:
    with pytest.raises(ConfigError, match="wanted a share of the epochs, 0 to 1"):
        FreezeBatchNorm(after=after)


def test_a_trainer_without_a_number_of_epochs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"max_epochs is -1"):
        fit(FreezeBatchNorm(after=0.5), tmp_path, epochs=-1)
