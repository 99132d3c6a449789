from pathlib import Path

import lightning as L
import pytest
import torch
from torch.utils.data import DataLoader

from seg.errors import ConfigError
from seg.labels import CROPLAND, OTHER
from seg.training.optimizer import OptimizerConfig
from seg.training.schedule import ScheduleConfig
from seg.training.tasks.cropland import CroplandTask
from seg.training.warmups.learning_rate import WarmupLearningRate
from support.networks import TINY_NETWORK
from support.training import quiet_trainer
from support.warm_runs import SceneModule

RATE = 0.01
SCHEDULES = [ScheduleConfig(name=name) for name in ("cosine", "poly", "step", "one_cycle", "constant")]
every_schedule = pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: schedule.name)


class Rates(L.Callback):
    """Record the learning rate of each step."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def on_before_optimizer_step(self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: object) -> None:
        self.seen.append(trainer.optimizers[0].param_groups[0]["lr"])


def new_task(schedule: ScheduleConfig) -> CroplandTask:
    task = CroplandTask(
        bands=2, model=TINY_NETWORK, optimizer=OptimizerConfig(name="sgd", learning_rate=RATE), schedule=schedule
    )
    task.fill_normalization([0.5, 0.5], [0.5, 0.5])
    return task


def loader(batches: int) -> DataLoader[dict[str, torch.Tensor]]:
    mask = torch.full((16, 16), OTHER, dtype=torch.uint8)
    mask[:, 8:] = CROPLAND
    return DataLoader([{"image": torch.ones(2, 16, 16) * mask, "mask": mask}] * batches, batch_size=1)


@every_schedule
def test_a_resumed_and_extended_run_has_the_rates_of_its_new_length(schedule: ScheduleConfig, tmp_path: Path) -> None:
    """Three batches per epoch and two batches per step give two steps per epoch; the second step has one batch."""

    def wanted(steps: range, total: int) -> list[float]:
        return [RATE * schedule.factor(step / total) for step in steps]

    class Stop(L.Callback):
        def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
            trainer.should_stop = trainer.current_epoch == 1

    path, options = tmp_path / "a.ckpt", {"accumulate_grad_batches": 2, "limit_val_batches": 0}
    first, second, third = Rates(), Rates(), Rates()
    broken = quiet_trainer([first, Stop()], max_epochs=4, **options)
    broken.fit(new_task(schedule), loader(3), loader(1))
    broken.save_checkpoint(path)
    assert first.seen == pytest.approx(wanted(range(4), 8))

    resumed = quiet_trainer([second], max_epochs=4, **options)
    resumed.fit(new_task(schedule), loader(3), loader(1), ckpt_path=path, weights_only=True)
    resumed.save_checkpoint(path)
    assert second.seen == pytest.approx(wanted(range(4, 8), 8))

    quiet_trainer([third], max_epochs=6, **options).fit(
        new_task(schedule), loader(3), loader(1), ckpt_path=path, weights_only=True
    )
    assert third.seen == pytest.approx(wanted(range(8, 12), 12))


def test_a_warm_up_scales_the_rate_of_any_schedule() -> None:
    rates = Rates()
    schedule, warmup = ScheduleConfig(name="poly"), WarmupLearningRate(steps=3, start_factor=0.1)
    quiet_trainer([warmup, rates], max_epochs=6, limit_val_batches=0).fit(new_task(schedule), loader(1), loader(1))
    assert rates.seen == pytest.approx([RATE * schedule.factor(step / 6) * warmup.factor(step) for step in range(6)])


def test_training_without_band_statistics_is_refused() -> None:
    with pytest.raises(ConfigError, match="no band statistics"):
        quiet_trainer(max_epochs=1).fit(CroplandTask(bands=2, model=TINY_NETWORK), datamodule=SceneModule())


def test_norms_and_biases_are_not_decayed() -> None:
    task, trainer = new_task(ScheduleConfig()), quiet_trainer(max_epochs=1)
    trainer.fit(task, loader(1), loader(1))
    decayed, others = trainer.optimizers[0].param_groups
    assert (decayed["weight_decay"], others["weight_decay"]) == (1e-2, 0.0)
    assert all(weight.ndim > 1 for weight in decayed["params"])
    assert all(weight.ndim == 1 for weight in others["params"])
    assert len(decayed["params"]) + len(others["params"]) == len(list(task.parameters()))
