"""A NaN loss ends the training before the optimiser steps."""

from pathlib import Path

import numpy as np
import pytest
import torch

from seg.errors import TrainingError
from seg.training.stop_at_nan import StopAtNan, save_batch
from support.training import quiet_trainer
from support.warm_runs import SIDES, SceneModule, Scenes, example, new_task


def data_with(value: float) -> SceneModule:
    """Scenes; one of them has a pixel with this value."""
    examples = [example(*side, index) for index, side in enumerate(SIDES)]
    examples[4]["image"][0, 3, 3] = value
    return SceneModule(Scenes(examples))


@pytest.mark.parametrize("length", [1, 3])
def test_a_nan_loss_names_and_saves_the_sample_and_leaves_the_weights_unchanged(tmp_path: Path, length: int) -> None:
    task = new_task()
    trainer = quiet_trainer([StopAtNan()], default_root_dir=tmp_path, accumulate_grad_batches=length)
    with pytest.raises(TrainingError) as raised:
        trainer.fit(task, datamodule=data_with(float("inf")))
    message = str(raised.value)
    assert message.startswith(f"epoch 1, step {trainer.global_step + 1}: the loss of scene_4 is not finite")
    assert "--data.nodata" in message
    assert "\n" not in message
    assert all(parameter.isfinite().all() for parameter in task.parameters())
    (path,) = (tmp_path / "nan_batch").iterdir()
    assert str(path) in message
    with np.load(path, allow_pickle=False) as kept:
        assert kept["name"].tolist() == ["scene_4"]
        assert kept["image"].shape == (1, 2, *SIDES[4])
        assert np.isinf(kept["image"][0, 0, 3, 3])
        assert kept["mask"].shape == (1, *SIDES[4])


def test_nan_weights_from_an_earlier_step_are_not_attributed_to_the_sample(tmp_path: Path) -> None:
    task = new_task()

    class Spoil(StopAtNan):
        def on_before_optimizer_step(self, trainer: object, *_: object) -> None:
            if trainer.global_step == 2:
                task.model.network.head.weight.grad.fill_(torch.nan)

    with pytest.raises(TrainingError, match=r"step 4: .* not been finite since the step with scene_\d; try a lower"):
        quiet_trainer([Spoil()], default_root_dir=tmp_path).fit(task, datamodule=SceneModule())


def test_a_divergence_advises_a_lower_learning_rate(tmp_path: Path) -> None:
    task = new_task()
    with torch.no_grad():
        task.model.network.head.weight.fill_(3e38)
    with pytest.raises(TrainingError, match=r"try a lower --model\.optimizer\.learning_rate, more --warmup\.steps"):
        quiet_trainer([StopAtNan()], default_root_dir=tmp_path).fit(task, datamodule=SceneModule())


def test_a_training_with_finite_losses_is_not_stopped(tmp_path: Path) -> None:
    trainer = quiet_trainer([StopAtNan()], default_root_dir=tmp_path, max_epochs=1)
    trainer.fit(new_task(), datamodule=SceneModule())
    assert trainer.global_step == len(SIDES)
    assert not (tmp_path / "nan_batch").exists()


def test_views_of_unlabelled_samples_are_saved_with_the_labelled_samples(tmp_path: Path) -> None:
    image, mask = torch.zeros(1, 2, 4, 4), torch.zeros(1, 4, 4, dtype=torch.uint8)
    save_batch(tmp_path / "batch.npz", image, mask, ["a.tif"], {"strong": torch.ones(1, 2, 2, 4, 4)})
    with np.load(tmp_path / "batch.npz", allow_pickle=False) as kept:
        assert kept["strong"].shape == (1, 2, 2, 4, 4)
        assert sorted(kept) == ["image", "mask", "name", "strong"]
