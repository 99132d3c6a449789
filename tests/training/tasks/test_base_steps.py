import lightning as L
import pytest

from seg.training.tasks.base import counted_steps
from seg.training.warmups.batch import WarmupBatch
from seg.training.warmups.data import WarmupData
from support.training import quiet_trainer
from support.warm_runs import SIDES, SceneModule, Steps, new_task

GROWTHS = [
    [WarmupBatch(epochs=3)],
    [WarmupBatch(epochs=2, final=5)],
    [WarmupBatch(epochs=3, growth="doubling", final=4)],
    [WarmupBatch(steps=5)],
    [WarmupBatch(steps=9, final=4, growth="doubling")],
    [WarmupData(share=0.3, epochs=3)],
    [WarmupData(share=0.1, epochs=2, by="size"), WarmupBatch(epochs=2, final=4)],
    [WarmupData(share=0.5, epochs=3), WarmupBatch(steps=8, final=3)],
]


@pytest.mark.parametrize("growths", GROWTHS, ids=range(len(GROWTHS)))
@pytest.mark.parametrize("batch_pixels", [1000, pytest.param(None, marks=pytest.mark.campaign)])
def test_the_step_count_equals_the_steps_taken(growths: list[L.Callback], batch_pixels: int | None) -> None:
    steps, task = Steps(), new_task()
    trainer = quiet_trainer([*growths, steps], accumulate_grad_batches=3, max_epochs=5)
    trainer.fit(task, datamodule=SceneModule(batch_pixels=batch_pixels))
    assert task.total_steps == trainer.global_step == len(steps.lengths) >= 5


def test_the_schedule_of_a_run_with_growing_groups_ends_with_the_run() -> None:
    steps = Steps()
    trainer = quiet_trainer([WarmupBatch(epochs=3, final=4), steps], max_epochs=5)
    trainer.fit(new_task(), datamodule=SceneModule())
    rates = [rate for rate, *_ in steps.rates]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == pytest.approx(1e-2)
    assert 0 < rates[-1] < 1e-2 * 0.05
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0, abs=1e-12)


def test_the_largest_number_of_steps_bounds_the_count() -> None:
    task = new_task()
    trainer = quiet_trainer([WarmupBatch(epochs=2, final=4)], max_epochs=5, max_steps=9)
    trainer.fit(task, datamodule=SceneModule())
    assert task.total_steps == trainer.global_step == 9


def test_a_run_limited_only_by_max_steps_needs_no_count() -> None:
    task = new_task()
    quiet_trainer([WarmupBatch(epochs=2, final=4)], max_epochs=-1, max_steps=9).fit(task, datamodule=SceneModule())
    assert task.total_steps is None


def test_without_a_warm_up_the_estimate_of_lightning_is_used() -> None:
    trainer = quiet_trainer([WarmupBatch(), WarmupData()], accumulate_grad_batches=3)
    task = new_task()
    trainer.fit(task, datamodule=SceneModule())
    assert counted_steps(trainer) is None
    assert task.total_steps is None
    assert trainer.estimated_stepping_batches == trainer.global_step == 4 * -(-len(SIDES) // 3)
