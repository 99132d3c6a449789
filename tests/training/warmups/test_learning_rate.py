import math
from pathlib import Path

import lightning as L
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from seg.errors import ConfigError
from seg.training.schedule import RunSchedule, schedule_of
from seg.training.warmups.learning_rate import WarmupLearningRate
from support.training import quiet_trainer
from support.warm_runs import run_and_resume

STEPS = 8
RATE = 0.1


def cosine(step: int) -> float:
    return (1 + math.cos(math.pi * step / STEPS)) / 2


class SlopeTask(L.LightningModule):
    """Task with a constant gradient of 1, so that each step changes the weight by exactly the learning rate."""

    def __init__(self, keep_optimizer: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, dtype=torch.float64))
        self.moves: list[float] = []
        self.optimizer = self.new_optimizer() if keep_optimizer else None

    def new_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=RATE)

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        return self.weight.sum()

    def on_train_start(self) -> None:
        schedule_of(self.trainer).refresh()

    def on_train_batch_start(self, batch: Tensor, batch_idx: int) -> None:
        self.before = self.weight.item()

    def on_train_batch_end(self, outputs: object, batch: Tensor, batch_idx: int) -> None:
        self.moves.append(self.before - self.weight.item())

    def configure_optimizers(self) -> dict[str, object]:
        optimizer = self.optimizer or self.new_optimizer()
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": RunSchedule(optimizer, cosine), "interval": "step"},
        }


def batches() -> DataLoader[Tensor]:
    """Epoch that has one batch for each step of the schedule."""
    return DataLoader(torch.zeros(STEPS, 1))


def fit(task: SlopeTask, folder: Path, *callbacks: L.Callback, **options: object) -> SlopeTask:
    quiet_trainer(callbacks, default_root_dir=folder, **({"max_steps": STEPS} | options)).fit(task, batches())
    return task


@pytest.mark.parametrize(
    ("shape", "step", "factor"),
    [
        ("linear", 0, 0.2),
        ("linear", 5, 0.6),
        ("linear", 10, 1.0),
        ("linear", 1000, 1.0),
        ("cosine", 0, 0.2),
        ("cosine", 5, 0.6),
        ("cosine", 2, 0.2 + 0.8 * 0.0954915),
        ("cosine", 10, 1.0),
    ],
)
def test_the_factor_rises_from_its_start_to_1(shape: str, step: int, factor: float) -> None:
    assert WarmupLearningRate(steps=10, start_factor=0.2, shape=shape).factor(step) == pytest.approx(factor)


def test_a_warm_up_of_no_steps_changes_nothing() -> None:
    assert WarmupLearningRate(steps=0).factor(0) == 1


@pytest.mark.parametrize(("steps", "start_factor"), [(-1, 0.1), (10, 0.0), (10, -0.5), (10, 1.1), (10, float("nan"))])
def test_arguments_out_of_range_are_refused(steps: int, start_factor: float) -> None:
    with pytest.raises(ConfigError, match="wanted steps or epochs >= 0, and 0 < start_factor <= 1"):
        WarmupLearningRate(steps=steps, start_factor=start_factor)


def test_each_step_moves_by_the_scheduled_rate_times_the_factor(tmp_path: Path) -> None:
    warmup = WarmupLearningRate(steps=4, start_factor=0.1)
    plain, warmed = fit(SlopeTask(), tmp_path), fit(SlopeTask(), tmp_path, warmup)
    expected = [move * warmup.factor(step) for step, move in enumerate(plain.moves)]
    assert len(expected) == STEPS
    assert warmed.moves == pytest.approx(expected)


def test_after_the_warm_up_the_rate_is_the_scheduled_rate(tmp_path: Path) -> None:
    plain, warmed = fit(SlopeTask(), tmp_path), fit(SlopeTask(), tmp_path, WarmupLearningRate(steps=4))
    assert warmed.moves[4:] == pytest.approx(plain.moves[4:])


def test_accumulated_batches_count_as_one_step(tmp_path: Path) -> None:
    warmup = WarmupLearningRate(steps=4, start_factor=0.1)
    options = {"accumulate_grad_batches": 2, "max_steps": STEPS // 2}
    plain, warmed = fit(SlopeTask(), tmp_path, **options), fit(SlopeTask(), tmp_path, warmup, **options)
    expected = [move * warmup.factor(step) for step, move in enumerate(plain.moves[1::2])]
    assert warmed.moves[1::2] == pytest.approx(expected)


def test_a_resumed_run_has_the_moves_of_an_uninterrupted_one(tmp_path: Path) -> None:
    warmup = WarmupLearningRate(steps=STEPS * 2, start_factor=0.1)
    whole = fit(SlopeTask(), tmp_path, warmup, max_steps=STEPS * 2)
    first = quiet_trainer([warmup], default_root_dir=tmp_path, max_steps=STEPS)
    first.fit(SlopeTask(), batches())
    first.save_checkpoint(tmp_path / "half.ckpt")

    resumed, second = SlopeTask(), quiet_trainer([warmup], default_root_dir=tmp_path, max_steps=STEPS * 2)
    second.fit(resumed, batches(), ckpt_path=tmp_path / "half.ckpt", weights_only=True)
    assert len(resumed.moves) == STEPS
    assert resumed.moves == pytest.approx(whole.moves[STEPS:])


def test_a_second_fit_with_the_same_optimizer_applies_the_factor_once(tmp_path: Path) -> None:
    warmup, task = WarmupLearningRate(steps=4, start_factor=0.1), SlopeTask(keep_optimizer=True)
    fit(task, tmp_path, warmup, max_steps=1)
    fit(task, tmp_path, warmup, max_steps=1)
    assert task.moves == pytest.approx([0.1 * RATE, 0.1 * RATE])


def test_a_task_without_a_run_schedule_is_refused(tmp_path: Path) -> None:
    class Other(SlopeTask):
        def configure_optimizers(self) -> torch.optim.Optimizer:
            return self.new_optimizer()

    with pytest.raises(ConfigError, match="scales the learning rate of a RunSchedule, but the task's schedule is none"):
        fit(Other(), tmp_path, WarmupLearningRate(steps=4))


def test_the_length_may_be_a_fraction_of_an_epoch(tmp_path: Path) -> None:
    warmup = WarmupLearningRate(epochs=0.5, start_factor=0.2)
    plain, warmed = fit(SlopeTask(), tmp_path), fit(SlopeTask(), tmp_path, warmup)
    factors = [0.2 + 0.8 * min(step / (STEPS / 2), 1) for step in range(STEPS)]
    assert warmed.moves == pytest.approx([move * factor for move, factor in zip(plain.moves, factors, strict=True)])


def test_each_parameter_group_may_have_its_own_start_factor(tmp_path: Path) -> None:
    class TwoGroups(SlopeTask):
        def __init__(self) -> None:
            super().__init__()
            self.other = nn.Parameter(torch.zeros(1, dtype=torch.float64))

        def new_optimizer(self) -> torch.optim.Optimizer:
            return torch.optim.SGD([{"params": [self.weight]}, {"params": [self.other]}], lr=RATE)

        def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
            return self.weight.sum() + self.other.sum()

    task = TwoGroups()
    fit(task, tmp_path, WarmupLearningRate(steps=4, start_factor=[0.1, 0.5]), max_steps=1)
    assert [-task.weight.item(), -task.other.item()] == pytest.approx([0.1 * RATE, 0.5 * RATE])
    with pytest.raises(ConfigError, match="3 factors, but the optimiser has 2 parameter groups"):
        fit(TwoGroups(), tmp_path, WarmupLearningRate(start_factor=[0.1, 0.2, 0.3]))


def test_steps_and_epochs_together_are_refused() -> None:
    with pytest.raises(ConfigError, match="steps=10 and epochs=2; give only one of them"):
        WarmupLearningRate(steps=10, epochs=2)


@pytest.mark.parametrize("arguments", [{"steps": 9}, {"epochs": 3.5, "shape": "cosine"}], ids=str)
def test_a_resumed_task_ends_with_the_same_weights(tmp_path: Path, arguments: dict[str, object]) -> None:
    run_and_resume(tmp_path, lambda: [WarmupLearningRate(**arguments)], accumulate_grad_batches=2).assert_alike()
