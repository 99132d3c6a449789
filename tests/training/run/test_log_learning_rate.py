import csv
from pathlib import Path

import lightning as L
import pytest
import torch
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor, nn
from torch.utils.data import DataLoader

from seg.training.run.log_learning_rate import LogLearningRate
from seg.training.warmups.learning_rate import WarmupLearningRate


class TwoGroups(L.LightningModule):
    """Two parameters, the second at a rate of its own."""

    def __init__(self, rates: tuple[float, float]) -> None:
        super().__init__()
        self.rates = rates
        self.first, self.second = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        return (self.first + self.second).sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        groups = zip((self.first, self.second), self.rates, strict=True)
        return torch.optim.SGD([{"params": [weight], "lr": rate} for weight, rate in groups])


def logged(folder: Path, rates: tuple[float, float], *callbacks: L.Callback) -> list[dict[str, str]]:
    quiet = dict.fromkeys(("enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = L.Trainer(
        max_epochs=2,
        accelerator="cpu",
        log_every_n_steps=2,
        logger=CSVLogger(str(folder), name="", version=""),
        callbacks=list(callbacks),
        **quiet,
    )
    trainer.fit(TwoGroups(rates), DataLoader(torch.zeros(4, 1)))
    with (folder / "metrics.csv").open() as file:
        return [row for row in csv.DictReader(file) if row["learning_rate"]]


def test_the_rate_is_that_of_the_step_with_its_warm_up_whatever_the_order(tmp_path: Path) -> None:
    for number, order in enumerate([(LogLearningRate, WarmupLearningRate), (WarmupLearningRate, LogLearningRate)]):
        made = [kind(steps=4, start_factor=0.2) if kind is WarmupLearningRate else kind() for kind in order]
        rows = logged(tmp_path / str(number), (1.0, 1.0), *made)
        assert [int(row["step"]) for row in rows] == [0, 2, 4, 6]
        assert [float(row["learning_rate"]) for row in rows] == pytest.approx([0.2, 0.6, 1, 1])
        assert "learning_rate/lowest" not in rows[0]


def test_layers_with_a_lower_rate_are_logged_too(tmp_path: Path) -> None:
    rows = logged(tmp_path, (1.0, 0.1), LogLearningRate())
    assert {(float(row["learning_rate"]), float(row["learning_rate/lowest"])) for row in rows} == {(1.0, 0.1)}
