from pathlib import Path

import lightning as L
import pytest

from seg.errors import ConfigError
from seg.losses.config import LossConfig
from seg.training.tasks.cropland import CroplandTask
from seg.training.warmups.loss import WarmupLoss
from support.training import quiet_trainer
from support.warm_runs import SceneModule, new_task, run_and_resume

MIXTURE = LossConfig(bce=1.0, dice=0.5, lovasz=2.0)


def mixture() -> CroplandTask:
    return new_task(MIXTURE)


class Weights(L.Callback):
    """Record the weights of the loss in training and in validation."""

    def __init__(self) -> None:
        self.training: list[dict[str, float]] = []
        self.validation: list[dict[str, float]] = []

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: object) -> None:
        self.training.append(dict(pl_module.loss.weights))

    def on_validation_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: object) -> None:
        self.validation.append(dict(pl_module.loss.weights))


def weights_with(*warm_ups: WarmupLoss, **options: object) -> Weights:
    noted = Weights()
    quiet_trainer([*warm_ups, noted], **options).fit(mixture(), datamodule=SceneModule())
    return noted


def test_weights_of_all_terms_except_cross_entropy_grow_over_the_steps() -> None:
    seen = weights_with(WarmupLoss(steps=10), max_epochs=2).training
    assert len(seen) == 14
    for step, weights in enumerate(seen):
        progress = min(step / 10, 1)
        assert (weights["bce"], weights["focal"]) == (1.0, 0.0)
        assert weights["dice"] == pytest.approx(0.5 * progress)
        assert weights["lovasz"] == pytest.approx(2.0 * progress)


def test_the_length_may_be_in_epochs_and_half_a_cosine_starts_slowly() -> None:
    seen = weights_with(WarmupLoss(epochs=2, shape="cosine"), max_epochs=3).training
    assert seen[0]["dice"] == 0
    assert seen[7]["dice"] == pytest.approx(0.25)  # after 1 of 2 epochs
    assert 0 < seen[2]["dice"] < 0.5 * 2 / 14 / 2
    assert {weights["dice"] for weights in seen[14:]} == {0.5}


def test_accumulated_batches_of_a_step_share_their_weights() -> None:
    seen = weights_with(WarmupLoss(steps=4), max_epochs=1, accumulate_grad_batches=4).training
    assert [weights["dice"] for weights in seen] == [0, 0, 0, 0.0, 0.125, 0.125, 0.125]


def test_validation_scores_with_the_whole_mixture() -> None:
    assert all(weights == mixture().loss.weights for weights in weights_with(WarmupLoss(epochs=20)).validation)


def test_a_term_with_weight_0_does_not_change_the_loss() -> None:
    warmed, plain = mixture(), new_task(LossConfig(bce=1.0, dice=0.0))
    for task, warm_ups in ((warmed, [WarmupLoss(steps=1000)]), (plain, [])):
        quiet_trainer(warm_ups, max_steps=1, max_epochs=-1).fit(task, datamodule=SceneModule())
    assert all((one == other).all() for one, other in zip(warmed.parameters(), plain.parameters(), strict=True))


def test_without_a_length_nothing_changes() -> None:
    assert all(weights == mixture().loss.weights for weights in weights_with(WarmupLoss()).training)


def test_the_final_weights_are_restored_after_training() -> None:
    task = mixture()
    quiet_trainer([WarmupLoss(epochs=20)], max_epochs=1).fit(task, datamodule=SceneModule())
    assert task.loss.weights == mixture().loss.weights


@pytest.mark.parametrize("arguments", [{"epochs": 3.5}, {"steps": 20, "shape": "cosine"}], ids=str)
def test_a_resumed_run_ends_with_the_same_weights(tmp_path: Path, arguments: dict[str, object]) -> None:
    run_and_resume(tmp_path, lambda: [WarmupLoss(**arguments)], mixture).assert_alike()


def test_the_checkpoint_holds_the_progress() -> None:
    warm_up, again = WarmupLoss(steps=10), WarmupLoss(steps=10)
    quiet_trainer([warm_up], max_epochs=1).fit(mixture(), datamodule=SceneModule())
    assert warm_up.state_dict() == {"progress": 0.6}
    again.load_state_dict(warm_up.state_dict())
    assert again.state_dict() == {"progress": 0.6}


def test_a_mixture_without_cross_entropy_is_refused() -> None:
    task = new_task(LossConfig(bce=0.0, dice=1.0))
    with pytest.raises(ConfigError, match=r"model\.loss\.bce is 0\.0"):
        quiet_trainer([WarmupLoss(steps=5)]).fit(task, datamodule=SceneModule())
