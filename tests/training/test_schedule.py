import math
from dataclasses import replace
from pathlib import Path

import lightning as L
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from seg.errors import ConfigError
from seg.labels import CROPLAND, OTHER
from seg.models.config import ModelConfig
from seg.training.optimizer import OptimizerConfig
from seg.training.schedule import RunSchedule, ScheduleConfig
from seg.training.tasks.cropland import CroplandTask
from seg.training.warmups.learning_rate import WarmupLearningRate

TINY = ModelConfig(
    encoder="tu-test_resnet", output_stride=8, pyramid_rates=(1,), pyramid_channels=8, decoder_channels=(8, 8, 8)
)
RATE = 0.01
SCHEDULES = [
    ScheduleConfig(),
    ScheduleConfig(name="poly"),
    ScheduleConfig(name="step"),
    ScheduleConfig(name="one_cycle"),
    ScheduleConfig(name="constant"),
]
every_schedule = pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: schedule.name)


@pytest.mark.parametrize(
    ("schedule", "at"),
    [
        (ScheduleConfig(), {0: 1, 0.25: (1 + math.sqrt(0.5)) / 2, 0.5: 0.5, 1: 0, 1.5: 0}),
        (ScheduleConfig(name="poly", power=2), {0: 1, 0.25: 0.5625, 0.5: 0.25, 1: 0, 1.5: 0}),
        (
            ScheduleConfig(name="step", milestones=(0.3, 0.7), gamma=0.5),
            {0: 1, 0.29: 1, 3 / 10: 0.5, 0.69: 0.5, 7 / 10: 0.25, 1: 0.25, 2: 0.25},
        ),
        (
            ScheduleConfig(name="one_cycle", warm_share=0.2, start_divisor=4, end_divisor=10),
            {0: 0.25, 0.1: 0.625, 0.2: 1, 0.6: 0.5125, 1: 0.025, 3: 0.025},
        ),
        (ScheduleConfig(name="constant"), {0: 1, 0.5: 1, 1: 1}),
    ],
)
def test_the_share_of_the_rate_follows_its_formula(schedule: ScheduleConfig, at: dict[float, float]) -> None:
    assert {progress: schedule.factor(progress) for progress in at} == pytest.approx(at)


def test_poly_and_one_cycle_are_those_of_pytorch() -> None:
    steps = 2000
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
    poly = torch.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=steps, power=0.9)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        poly.step()
    wanted = [ScheduleConfig(name="poly").factor(step / steps) for step in range(steps)]
    assert found == pytest.approx(wanted, abs=1e-6)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=steps, cycle_momentum=False)
    found = []
    for step in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if step < steps - 1:
            cycle.step()
    wanted = [ScheduleConfig(name="one_cycle").factor(step / steps) for step in range(steps)]
    assert found == pytest.approx(wanted, abs=3 / steps)  # PyTorch's ends with the last step, not after it


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "cosin"}, "name is cosin; wanted one of cosine, poly, step, one_cycle, constant"),
        ({"power": 0.0}, "power is 0.0; wanted above 0"),
        ({"milestones": (0.5, 0.5)}, r"milestones is \(0.5, 0.5\); wanted rising shares"),
        ({"milestones": (30.0,)}, "milestones is .*below 1"),
        ({"milestones": (0.0, 0.5)}, "milestones is .*above 0"),
        ({"gamma": 0.0}, "gamma is 0.0; wanted above 0 and at most 1"),
        ({"gamma": 2.0}, "gamma is 2.0; wanted above 0 and at most 1"),
        ({"warm_share": 1.0}, "warm_share is 1.0; wanted above 0 and below 1"),
        ({"start_divisor": 0.5}, "start_divisor is 0.5; wanted 1 or more"),
        ({"end_divisor": math.nan}, "end_divisor is nan; wanted 1 or more"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=rf"model\.schedule\.{message}"):
        replace(ScheduleConfig(), **arguments)


def test_a_step_schedule_may_have_no_milestone() -> None:
    assert ScheduleConfig(name="step", milestones=()).factor(0.9) == 1


def test_each_group_has_its_own_rate_also_one_that_comes_later_or_changes() -> None:
    layers = [nn.Linear(1, 1) for _ in range(3)]
    optimizer = torch.optim.SGD(
        [{"params": layers[0].parameters(), "lr": 0.1}, {"params": layers[1].parameters()}], 1.0
    )
    schedule = RunSchedule(optimizer, lambda step: 0.5**step)

    def rates() -> list[float]:
        optimizer.step()
        schedule.step()
        return [group["lr"] for group in optimizer.param_groups]

    assert rates() == [0.05, 0.5]
    optimizer.param_groups[1]["initial_lr"] = 0.2
    optimizer.add_param_group({"params": layers[2].parameters(), "lr": 0.4})
    assert rates() == pytest.approx([0.025, 0.05, 0.1])
    assert rates() == pytest.approx([0.0125, 0.025, 0.05])


class Rates(L.Callback):
    """Note the rate at which each step is taken."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def on_before_optimizer_step(self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: object) -> None:
        self.seen.append(trainer.optimizers[0].param_groups[0]["lr"])


def new_task(schedule: ScheduleConfig) -> CroplandTask:
    task = CroplandTask(
        bands=2, model=TINY, optimizer=OptimizerConfig(name="sgd", learning_rate=RATE), schedule=schedule
    )
    task.fill_normalization([0.5, 0.5], [0.5, 0.5])
    return task


def loader(batches: int) -> DataLoader[dict[str, torch.Tensor]]:
    mask = torch.full((16, 16), OTHER, dtype=torch.uint8)
    mask[:, 8:] = CROPLAND
    return DataLoader([{"image": torch.ones(2, 16, 16) * mask, "mask": mask}] * batches, batch_size=1)


def new_trainer(*callbacks: L.Callback, **options: object) -> L.Trainer:
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    return L.Trainer(accelerator="cpu", callbacks=list(callbacks), limit_val_batches=0, **quiet, **options)


@every_schedule
def test_a_run_resumed_halfway_and_then_extended_has_the_rates_of_its_length(
    schedule: ScheduleConfig, tmp_path: Path
) -> None:
    """Three batches an epoch, two a step: two steps an epoch, the second of one batch."""

    def wanted(steps: range, total: int) -> list[float]:
        return [RATE * schedule.factor(step / total) for step in steps]

    class Stop(L.Callback):
        def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
            trainer.should_stop = trainer.current_epoch == 1

    path, options = tmp_path / "a.ckpt", {"accumulate_grad_batches": 2}
    first, second, third = Rates(), Rates(), Rates()
    broken = new_trainer(first, Stop(), max_epochs=4, **options)
    broken.fit(new_task(schedule), loader(3), loader(1))
    broken.save_checkpoint(path)
    assert first.seen == pytest.approx(wanted(range(4), 8))

    resumed = new_trainer(second, max_epochs=4, **options)
    resumed.fit(new_task(schedule), loader(3), loader(1), ckpt_path=path, weights_only=True)
    resumed.save_checkpoint(path)
    assert second.seen == pytest.approx(wanted(range(4, 8), 8))

    new_trainer(third, max_epochs=6, **options).fit(
        new_task(schedule), loader(3), loader(1), ckpt_path=path, weights_only=True
    )
    assert third.seen == pytest.approx(wanted(range(8, 12), 12))


def test_a_warm_up_scales_the_rate_of_any_schedule() -> None:
    taken: list[float] = []

    class Hook(L.Callback):
        def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
            trainer.optimizers[0].register_step_pre_hook(
                lambda optimizer, *_: taken.append(optimizer.param_groups[0]["lr"])
            )

    schedule, warmup = ScheduleConfig(name="poly"), WarmupLearningRate(steps=3, start_factor=0.1)
    new_trainer(warmup, Hook(), max_epochs=6).fit(new_task(schedule), loader(1), loader(1))
    assert taken == pytest.approx([RATE * schedule.factor(step / 6) * warmup.factor(step) for step in range(6)])
