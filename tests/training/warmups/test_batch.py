import math
from pathlib import Path

import pytest

from seg.errors import ConfigError
from seg.training.warmups.batch import WarmupBatch
from seg.training.warmups.learning_rate import WarmupLearningRate
from support.training import quiet_trainer
from support.warm_runs import SceneModule, Steps, new_task, run_and_resume


def steps_of(warm_up: WarmupBatch, **options: object) -> Steps:
    steps = Steps()
    quiet_trainer([warm_up, steps], **options).fit(new_task(), datamodule=SceneModule())
    return steps


def lengths_by_epoch(steps: Steps) -> list[list[int]]:
    epochs = sorted(set(steps.epochs))
    return [[length for length, of in zip(steps.lengths, steps.epochs, strict=True) if of == epoch] for epoch in epochs]


def test_groups_grow_to_the_length_of_the_trainer_and_a_shorter_last_group_makes_a_step() -> None:
    steps = steps_of(WarmupBatch(epochs=2), accumulate_grad_batches=3)
    assert lengths_by_epoch(steps) == [[1] * 7, [2, 2, 2, 1], [3, 3, 1], [3, 3, 1]]


def test_an_epoch_shorter_than_a_group_makes_one_step() -> None:
    steps = steps_of(WarmupBatch(epochs=1, final=20))
    assert lengths_by_epoch(steps) == [[1] * 7, [7], [7], [7]]


def test_groups_double_at_even_intervals() -> None:
    steps = steps_of(WarmupBatch(epochs=4, final=16, growth="doubling"), max_epochs=6)
    assert [lengths[0] for lengths in lengths_by_epoch(steps)] == [1, 2, 4, 7, 7, 7]


def test_within_an_epoch_groups_grow_only_where_lightning_begins_a_group() -> None:
    steps = steps_of(WarmupBatch(steps=3, final=4), max_epochs=2, accumulate_grad_batches=4)
    # The target lengths at steps 0 to 3 are 1, 2, 3 and 4. After 1 batch, no group of 2 can begin; after 2 batches, no
    # group of 4.
    assert lengths_by_epoch(steps) == [[1, 1, 1, 1, 3], [4, 3]]


def test_without_a_length_nothing_changes() -> None:
    steps = steps_of(WarmupBatch(), accumulate_grad_batches=3)
    assert lengths_by_epoch(steps) == [[3, 3, 1]] * 4


@pytest.mark.parametrize(("follows", "wanted"), [("linear", [0.25, 0.5, 1]), ("sqrt", [0.5, math.sqrt(0.5), 1])])
def test_the_learning_rate_follows_the_length(follows: str, wanted: list[float]) -> None:
    found, rates = (
        steps_during(WarmupBatch(epochs=2, final=4, growth="doubling", learning_rate=rule))
        for rule in (follows, "constant")
    )
    ratios = [one / other for one, other in zip(found, rates, strict=True)]
    assert ratios == pytest.approx([wanted[0]] * 7 + [wanted[1]] * 4 + [wanted[2]] * 2)


class Used(Steps):
    """Record the learning rates that the optimiser uses."""

    def on_train_epoch_start(self, trainer: object, pl_module: object) -> None:
        super().on_train_epoch_start(trainer, pl_module)
        if not self.rates:
            trainer.optimizers[0].register_step_pre_hook(
                lambda optimizer, *_: self.rates.append([group["lr"] for group in optimizer.param_groups])
            )

    def on_before_optimizer_step(self, trainer: object, *_: object) -> None:
        self._open = 0


def steps_during(*warm_ups: object) -> list[float]:
    used = Used()
    quiet_trainer([*warm_ups, used], max_epochs=3).fit(new_task(), datamodule=SceneModule())
    return [rates[0] for rates in used.rates]


def test_two_warm_ups_of_the_learning_rate_multiply_in_either_order() -> None:
    batch = {"epochs": 2, "final": 4, "growth": "doubling"}
    plain = steps_during(WarmupBatch(**batch))
    followed = steps_during(WarmupBatch(**batch, learning_rate="linear"))
    rate = WarmupLearningRate(steps=10, start_factor=0.1)
    wanted = [one * rate.factor(step) for step, one in enumerate(followed)]
    assert wanted[0] < 0.03 * plain[0]
    assert steps_during(rate, WarmupBatch(**batch, learning_rate="linear")) == pytest.approx(wanted)
    assert steps_during(WarmupBatch(**batch, learning_rate="linear"), rate) == pytest.approx(wanted)


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param({"epochs": 3}, marks=pytest.mark.campaign),
        {"epochs": 3, "growth": "doubling", "learning_rate": "sqrt", "final": 4},
        pytest.param({"steps": 14, "final": 4, "learning_rate": "linear"}, marks=pytest.mark.campaign),
    ],
    ids=str,
)
def test_a_resumed_run_ends_with_the_same_weights(tmp_path: Path, arguments: dict[str, object]) -> None:
    run_and_resume(tmp_path, lambda: [WarmupBatch(**arguments)], accumulate_grad_batches=3).assert_alike()


def test_the_checkpoint_holds_the_group_length() -> None:
    warm_up = WarmupBatch(epochs=8, final=9)
    quiet_trainer([warm_up], max_epochs=4).fit(new_task(), datamodule=SceneModule())
    assert warm_up.state_dict() == {"length": 4}
    again = WarmupBatch(epochs=8, final=9)
    again.load_state_dict({"length": 4})
    assert again.length == 4


@pytest.mark.parametrize("stage", ["validate", "test"])
def test_scoring_does_not_change_the_group_length(stage: str) -> None:
    warm_up = WarmupBatch(epochs=8, final=9)
    trainer = quiet_trainer([warm_up], max_epochs=4, accumulate_grad_batches=2)
    task = new_task()
    trainer.fit(task, datamodule=SceneModule())
    getattr(trainer, stage)(task, SceneModule().val_dataloader(), verbose=False)
    assert warm_up.state_dict() == {"length": 4}
    assert trainer.accumulate_grad_batches == 2


def test_the_group_length_of_the_trainer_is_restored() -> None:
    trainer = quiet_trainer([WarmupBatch(epochs=8, final=9)], accumulate_grad_batches=2)
    trainer.fit(new_task(), datamodule=SceneModule())
    assert trainer.accumulate_grad_batches == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": 1, "epochs": 1}, "steps=1 and epochs=1; give only one"),
        ({"epochs": -1}, "wanted epochs >= 0"),
        ({"epochs": 2, "final": 0}, "final=0"),
        ({"final": 4}, "accumulate_grad_batches"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        WarmupBatch(**arguments)
