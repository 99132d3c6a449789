from itertools import pairwise
from pathlib import Path

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging
from torch import Tensor, nn
from torch.utils.data import DataLoader

from seg.errors import ConfigError
from seg.training.batch_norm import BatchNormMomentum, FreezeBatchNorm, RecomputeBatchNorm, recompute
from support.training import quiet_trainer

IMAGES = torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(0)) + 3


class TinyTask(L.LightningModule):
    """Task with a norm; records the norm's state after each epoch and in each validation."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(1)
        self.dropout = nn.Dropout(0.9)
        self.running_means: list[Tensor] = []
        self.scales: list[Tensor] = []
        self.validated: list[tuple[float, float]] = []

    def forward(self, image: Tensor) -> Tensor:
        out: Tensor = self.norm(self.dropout(self.first(image)))
        return out

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        loss: Tensor = (self(batch["image"]) - 1).square().mean()
        return loss

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        self(batch["image"])
        if batch_idx == 0:  # the running statistics, and the statistics of all images
            self.validated.append((float(self.norm.running_mean), float(self.first(IMAGES).mean())))

    def on_train_epoch_end(self) -> None:
        self.running_means.append(self.norm.running_mean.clone())
        self.scales.append(self.norm.weight.detach().clone())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Images(L.LightningDataModule):
    def train_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        return DataLoader([{"image": image} for image in IMAGES])

    val_dataloader = train_dataloader


def fit(folder: Path, *callbacks: L.Callback, resumed: Path | None = None, **options: object) -> TinyTask:
    """Train and write `end.ckpt`."""
    task = TinyTask()
    trainer = quiet_trainer(callbacks, default_root_dir=folder, **options)
    trainer.fit(task, datamodule=Images(), ckpt_path=resumed, weights_only=True)
    trainer.save_checkpoint(folder / "end.ckpt")
    return task


def changes(values: list[Tensor]) -> list[bool]:
    return [not torch.equal(before, after) for before, after in pairwise(values)]


def test_running_statistics_change_before_the_freeze_but_not_after(tmp_path: Path) -> None:
    task = fit(tmp_path, FreezeBatchNorm(after=0.5), max_epochs=4)
    assert changes(task.running_means) == [True, False, False]
    assert all(changes(task.scales))


def test_a_share_of_1_never_freezes(tmp_path: Path) -> None:
    assert changes(fit(tmp_path, FreezeBatchNorm(after=1.0), max_epochs=3).running_means) == [True, True]


def test_a_share_of_0_freezes_from_the_first_step(tmp_path: Path) -> None:
    assert torch.equal(fit(tmp_path, FreezeBatchNorm(after=0.0), max_epochs=1).running_means[0], torch.zeros(1))


@pytest.mark.parametrize(("first", "moves"), [(2, [False, False]), (1, [True, False, False])])
def test_a_resumed_run_freezes_at_the_same_epoch(tmp_path: Path, first: int, moves: list[bool]) -> None:
    before = fit(tmp_path, FreezeBatchNorm(after=1.0), max_epochs=first)
    resumed = fit(tmp_path, FreezeBatchNorm(after=0.5), max_epochs=4, resumed=tmp_path / "end.ckpt")
    assert changes([before.running_means[-1], *resumed.running_means]) == moves
    assert all(changes([before.scales[-1], *resumed.scales]))


@pytest.mark.parametrize("after", [-0.1, 1.1])
def test_a_share_of_epochs_out_of_range_is_refused(after: float) -> None:
    with pytest.raises(ConfigError, match=r"batch_norm\.after is .*wanted a share of the epochs, 0 to 1"):
        FreezeBatchNorm(after=after)


def test_a_trainer_without_a_number_of_epochs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"max_epochs is -1"):
        fit(tmp_path, FreezeBatchNorm(after=0.5), max_epochs=-1, max_steps=1)


class Level(L.LightningModule):
    """Task with a norm over batches of mean 1."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(1)

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        loss: Tensor = self.norm(batch).square().mean()
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.0)


def running_mean(*callbacks: L.Callback, **options: object) -> float:
    """The running mean after an epoch of four batches."""
    task = Level()
    batches = DataLoader(torch.tensor([[0.0], [2.0]] * 4), batch_size=2)
    quiet_trainer(callbacks, max_epochs=1, **options).fit(task, batches)
    return float(task.norm.running_mean)


@pytest.mark.parametrize(("accumulate", "steps"), [(1, 4), (2, 2), (4, 1)])
def test_an_optimiser_step_replaces_the_same_share_of_the_mean_at_any_accumulation(accumulate: int, steps: int) -> None:
    found = running_mean(BatchNormMomentum(momentum=0.3), accumulate_grad_batches=accumulate)
    assert found == pytest.approx(1 - 0.7**steps, abs=1e-6)


def test_the_momentum_changes_with_a_growing_group_length() -> None:
    class Lengthen(L.Callback):
        """Two groups of one batch, then groups of two batches, as in a warm-up."""

        def on_train_batch_start(self, trainer: L.Trainer, *args: object) -> None:
            trainer.accumulate_grad_batches = 1 if args[-1] < 2 else 2

    assert running_mean(Lengthen(), BatchNormMomentum(momentum=0.3)) == pytest.approx(1 - 0.7**3, abs=1e-6)


@pytest.mark.parametrize("momentum", [0.0, 1.1, float("nan")])
def test_a_momentum_out_of_range_is_refused(momentum: float) -> None:
    with pytest.raises(ConfigError, match="wanted above 0 and at most 1"):
        BatchNormMomentum(momentum)


def close(pair: tuple[float, float]) -> bool:
    return abs(pair[0] - pair[1]) < 1e-4


def test_only_the_last_validation_uses_the_statistics_of_the_training_split_without_dropout(tmp_path: Path) -> None:
    task = fit(tmp_path, RecomputeBatchNorm(), max_epochs=3)
    assert [close(pair) for pair in task.validated] == [False, False, True]


def test_statistics_are_recomputed_if_max_steps_ends_a_training(tmp_path: Path) -> None:
    assert close(fit(tmp_path, RecomputeBatchNorm(), max_epochs=-1, max_steps=5).validated[-1])


def test_averaged_weights_get_their_own_statistics_which_a_checkpoint_keeps(tmp_path: Path) -> None:
    task = fit(tmp_path, EMAWeightAveraging(decay=0.5), RecomputeBatchNorm(), max_epochs=2)
    assert close(task.validated[-1])
    saved = torch.load(tmp_path / "end.ckpt", weights_only=True)["state_dict"]
    assert close((float(saved["norm.running_mean"]), float((saved["first.weight"] * IMAGES).mean())))


def test_modes_and_momentum_are_restored() -> None:
    network = nn.Sequential(nn.BatchNorm2d(1, momentum=0.3), nn.Dropout(0.5)).eval()
    recompute(network, IMAGES.split(1))
    assert network[0].momentum == 0.3
    assert not any(layer.training for layer in network.modules())
    assert close((float(network[0].running_mean), float(IMAGES.mean())))
