from dataclasses import replace

import pytest
import torch
from torch.utils.data import DataLoader

from seg.errors import ConfigError
from seg.labels import CROPLAND, IGNORE, OTHER
from seg.losses.config import LossConfig
from seg.training.optimizer import OptimizerConfig
from seg.training.tasks.cropland import CroplandTask
from support.networks import TINY_NETWORK
from support.training import quiet_trainer


def batch(height: int = 24, width: int = 20) -> dict[str, torch.Tensor]:
    """Batch of one image; its right half is brighter and labelled as cropland."""
    mask = torch.full((height, width), OTHER, dtype=torch.uint8)
    mask[:, width // 2 :] = CROPLAND
    image = torch.randn(2, height, width) * 0.1 + mask
    return {"image": image, "mask": mask}


LOADER = DataLoader([batch()], batch_size=1)


@pytest.fixture
def task() -> CroplandTask:
    torch.manual_seed(0)
    task = CroplandTask(bands=2, model=TINY_NETWORK, optimizer=OptimizerConfig(learning_rate=1e-2))
    task.fill_normalization([0.5, 0.5], [0.5, 0.5])
    return task


def test_training_on_one_image_at_a_time_learns(task: CroplandTask) -> None:
    torch.manual_seed(0)
    loader = DataLoader([batch(24 + step % 3, 20 + step % 5) for step in range(30)], batch_size=1)
    quiet_trainer(max_epochs=3).fit(task, loader, LOADER)
    (scores,) = quiet_trainer().validate(task, DataLoader([batch(31, 33)], batch_size=1), verbose=False)
    assert scores["val/iou"] > 0.8


def test_scores_come_from_counts_summed_over_images_of_different_sizes(task: CroplandTask) -> None:
    batches = [batch(8, 8), batch(40, 40), batch(9, 30)]
    (scores,) = quiet_trainer().test(task, DataLoader(batches, batch_size=1), verbose=False)
    hits = either = 0
    with torch.inference_mode():
        for one in batches:
            mapped = task.eval()(one["image"][None])[0, 0].sigmoid() > 0.5
            wanted = one["mask"] == CROPLAND
            hits += int((mapped & wanted).sum())
            either += int((mapped | wanted).sum())
    assert scores["test/iou"] == pytest.approx(hits / either)


def test_ignored_pixels_do_not_count(task: CroplandTask) -> None:
    one = batch()
    one["mask"][:12] = IGNORE
    (scores,) = quiet_trainer().validate(task, DataLoader([one], batch_size=1), verbose=False)
    with torch.inference_mode():
        mapped = (task.eval()(one["image"][None])[0, 0].sigmoid() > 0.5)[12:]
    wanted = one["mask"][12:] == CROPLAND
    assert scores["val/iou"] == pytest.approx(float((mapped & wanted).sum() / (mapped | wanted).sum()))


def test_an_image_without_labels_gives_no_nan(task: CroplandTask) -> None:
    one = batch()
    one["mask"] = torch.full_like(one["mask"], IGNORE)
    runner = quiet_trainer(max_epochs=1)
    runner.fit(task, DataLoader([one], batch_size=1), DataLoader([one], batch_size=1))
    assert all(torch.isfinite(value) for value in runner.callback_metrics.values())
    assert all(weight.isfinite().all() for weight in task.parameters())


def test_hyperparameters_are_plain_values(task: CroplandTask) -> None:
    def plain(value: object) -> bool:
        if isinstance(value, dict):
            return all(isinstance(key, str) and plain(inner) for key, inner in value.items())
        if isinstance(value, list):
            return all(plain(inner) for inner in value)
        return type(value) in (int, float, str, bool, type(None))

    assert plain(dict(task.hparams))


@pytest.mark.parametrize("loss", [LossConfig(bce=-1.0), LossConfig(bce=0.0, dice=0.0)])
def test_impossible_loss_weights_are_refused(loss: LossConfig) -> None:
    with pytest.raises(ConfigError, match="loss weights"):
        CroplandTask(bands=2, model=TINY_NETWORK, loss=loss)


@pytest.mark.parametrize(("head", "weight"), [(True, 0.0), (False, 1.0)])
def test_a_boundary_head_without_a_weight_or_a_weight_without_a_head_is_refused(head: bool, weight: float) -> None:
    with pytest.raises(ConfigError, match=r"model\.model\.boundary is .*model\.loss\.boundary .*set both or neither"):
        CroplandTask(bands=2, model=replace(TINY_NETWORK, boundary=head), loss=LossConfig(boundary=weight))


def test_a_boundary_head_is_trained_with_the_cropland() -> None:
    torch.manual_seed(0)
    task = CroplandTask(bands=2, model=replace(TINY_NETWORK, boundary=True), loss=LossConfig(boundary=1.0))
    task.fill_normalization([0.5, 0.5], [0.5, 0.5])
    before = task.model.network.head.weight.detach().clone()
    quiet_trainer(max_epochs=1).fit(task, LOADER, LOADER)
    assert not torch.equal(task.model.network.head.weight[0], before[0])
    assert not torch.equal(task.model.network.head.weight[1], before[1])
