from pathlib import Path

import lightning as L
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from seg.errors import ConfigError
from seg.training.batch_norm import BatchNormMomentum


class TinyTask(L.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(1)

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        loss: Tensor = self.norm(batch).square().mean()
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.0)


def fit(callback: BatchNormMomentum, accumulate: int, folder: Path) -> TinyTask:
    """One epoch over four batches whose mean is 1."""
    task = TinyTask()
    trainer = L.Trainer(
        max_epochs=1,
        callbacks=[callback],
        accumulate_grad_batches=accumulate,
        default_root_dir=folder,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(task, DataLoader(torch.tensor([[0.0], [2.0]] * 4), batch_size=2))
    return task


@pytest.mark.parametrize(("accumulate", "steps"), [(1, 4), (2, 2), (4, 1)])
def test_a_step_of_the_optimiser_replaces_the_same_share_whatever_it_accumulates(
    accumulate: int, steps: int, tmp_path: Path
) -> None:
    task = fit(BatchNormMomentum(momentum=0.3), accumulate, tmp_path)

    assert float(task.norm.running_mean) == pytest.approx(1 - 0.7**steps, abs=1e-6)


@pytest.mark.parametrize("momentum", [0.0, 1.1, float("nan")])
def test_a_share_out_of_range_is_refused(momentum: float) -> None:
    with pytest.raises(ConfigError, match="wanted above 0 and at most 1"):
        BatchNormMomentum(momentum)


def test_the_momentum_follows_a_length_that_grows(tmp_path: Path) -> None:
    class Lengthen(L.Callback):
        """A group of one batch, then one of two, as a warm-up makes them."""

        def on_train_batch_start(self, trainer: L.Trainer, *args: object) -> None:
            trainer.accumulate_grad_batches = 1 if args[-1] < 2 else 2

    task = TinyTask()
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    callbacks = [Lengthen(), BatchNormMomentum(momentum=0.3)]
    trainer = L.Trainer(max_epochs=1, callbacks=callbacks, default_root_dir=tmp_path, accelerator="cpu", **quiet)
    trainer.fit(task, DataLoader(torch.tensor([[0.0], [2.0]] * 4), batch_size=2))
    assert trainer.global_step == 3
    assert float(task.norm.running_mean) == pytest.approx(1 - 0.7**3, abs=1e-6)
