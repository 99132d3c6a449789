from pathlib import Path

import lightning as L
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from seg.training.run.log_learning_rate import EpochLine


class CountingTask(L.LightningModule):
    """Logs a training loss of ten times the epoch, and one more as validation score."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        self.log("train/loss", 10.0 * self.current_epoch, on_step=True, on_epoch=True)
        return self.weight.sum()

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self.log("val/iou", 10.0 * self.current_epoch + 1)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=1.0)


def loader() -> DataLoader[Tensor]:
    return DataLoader(torch.zeros(4, 1))


def trainer(folder: Path, **options: object) -> L.Trainer:
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    return L.Trainer(
        max_epochs=2, callbacks=[EpochLine()], default_root_dir=folder, accelerator="cpu", **(quiet | options)
    )


@pytest.mark.parametrize("options", [{}, {"val_check_interval": 0.5}], ids=["one validation", "two validations"])
def test_each_epoch_is_one_line_with_its_own_loss_and_scores(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: dict[str, object]
) -> None:
    trainer(tmp_path, **options).fit(CountingTask(), loader(), loader())
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch")]
    assert lines == [
        "epoch 1/2  train/loss 0.0000  train/loss_epoch 0.0000  val/iou 1.0000",
        "epoch 2/2  train/loss 10.0000  train/loss_epoch 10.0000  val/iou 11.0000",
    ]


def test_an_epoch_without_a_validation_prints_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trainer(tmp_path, check_val_every_n_epoch=2).fit(CountingTask(), loader(), loader())
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch")]
    assert [line.split("  ")[0] for line in lines] == ["epoch 2/2"]


def test_a_validation_on_its_own_prints_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trainer(tmp_path).validate(CountingTask(), loader(), verbose=False)
    assert "epoch" not in capsys.readouterr().out
